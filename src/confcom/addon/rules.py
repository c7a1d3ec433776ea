"""Rules between fields of the custom resource: each in CEL for the API server and in Python for a file.

The API server runs rules on a declared `default: {}` before the fields in it have their own defaults
(`cluster-addon.md` 4), so every expression must stand a field that is not there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confcom.settings import Size


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule of one object; `field_path`, relative to it, is where the API server reports a breach."""

    expression: str
    message: str
    holds: Callable[[Any], bool]
    field_path: str = ""


helper_needs_plugin = Rule(
    expression="!self.?quoteHelper.enabled.orValue(true) || self.?devicePlugin.enabled.orValue(true)",
    message="the quote helper needs the device plugin, which gives it its devices and EPC",
    holds=lambda spec: not spec.quote_helper.enabled or spec.device_plugin.enabled,
    field_path=".quoteHelper.enabled",
)

some_node_is_selected = Rule(
    expression=(
        "has(self.simulation) || !has(self.nodes) || !has(self.nodes.labels) || size(self.nodes.labels) > 0"
        " || !has(self.nodes.instanceTypes) || size(self.nodes.instanceTypes) > 0"
        " || (has(self.nodes.selector) && size(self.nodes.selector) > 0)"
    ),
    message="no node can be selected: give labels, instanceTypes or a selector",
    holds=lambda spec: (
        spec.simulation is not None or bool(spec.nodes.labels or spec.nodes.instance_types or spec.nodes.selector)
    ),
    field_path=".nodes",
)

pccs_is_for_intels_client = Rule(
    expression=(
        "self.?quoteProvider.orValue('auto') != 'azure'"
        " || (self.?pccs.url.orValue('') == '' && self.?pccs.configSecret.orValue('') == '')"
    ),
    message="Azure's client asks Azure and knows no PCCS: leave out pccs.url and pccs.configSecret, or take intel",
    holds=lambda spec: spec.quote_provider != "azure" or not (spec.pccs.url or spec.pccs.config_secret),
    field_path=".quoteProvider",
)

some_epc = Rule(
    # Mega and above, four digits of kilo, or seven of bytes; from 1 MB to 1 MiB only a file is refused.
    expression=("!has(self.epc) || self.epc.matches('^0*([1-9][0-9]* ?[mMgGtT]|[1-9][0-9]{3,} ?[kK]|[1-9][0-9]{6})')"),
    message="less than 1 MiB, the smallest unit of EPC",
    holds=lambda simulation: Size.parse(simulation.epc).mib >= 1,
    field_path=".epc",
)

whole_batch = Rule(
    expression="!has(self.batch) || type(self.batch) != int || self.batch >= 1",
    message="a batch is at least one node",
    holds=lambda update: isinstance(update.batch, str) or update.batch >= 1,
    field_path=".batch",
)
