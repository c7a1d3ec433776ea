"""What the words at the terminal change in the spec."""

from dataclasses import dataclass
from typing import Any

import msgspec

from confcom.addon.spec import Simulation, Spec
from confcom.errors import InputError
from confcom.settings import Size


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """The options that were given; None leaves a field as it is. An empty `simulate_epc` ends the simulation."""

    image: str | None = None
    node_selector: str | None = None
    simulate_epc: str | None = None
    quote_helper: bool | None = None
    namespace: str | None = None


def change(spec: Spec, changes: Changes) -> Spec:
    """The spec with the changes made.

    Raises:
        InputError: an option cannot be used, or contradicts the rest of the spec; the sentence names it.
    """
    values: dict[str, Any] = {}
    if changes.image is not None:
        # One word for both programs: what differed for one of them was for another version.
        values["images"] = msgspec.structs.replace(
            spec.images, default=changes.image, device_plugin="", quote_helper=""
        )
    if changes.node_selector is not None:
        values["nodes"] = msgspec.structs.replace(spec.nodes, selector=parse_selector(changes.node_selector))
    if changes.simulate_epc is not None:
        values["simulation"] = _simulation(changes.simulate_epc)
    if changes.quote_helper is not None:
        values["quote_helper"] = msgspec.structs.replace(spec.quote_helper, enabled=changes.quote_helper)
    if changes.namespace is not None:
        values["namespace"] = changes.namespace
    # Through the door again, so that every rule is looked at.
    return Spec.from_dict(msgspec.structs.replace(spec, **values).to_dict())


def parse_selector(text: str) -> dict[str, str]:
    """`key=value,key=value` as labels; an empty text is no selector.

    Raises:
        InputError: a part is no key=value.
    """
    labels = {}
    for part in filter(None, text.split(",")):
        key, separator, value = part.partition("=")
        if not separator or not key:
            raise InputError(f"--node-selector {text}: '{part}' is no label; write key=value,key=value")
        labels[key.strip()] = value.strip()
    return labels


def _simulation(text: str) -> Simulation | None:
    if not text:
        return None
    try:
        size = Size.parse(text)
    except ValueError as error:
        raise InputError(f"--simulate-epc: {error}") from None
    if size.mib < 1:
        raise InputError(f"--simulate-epc {text}: is less than 1 MiB, the smallest unit of EPC")
    return Simulation(epc=text)
