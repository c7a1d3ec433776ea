"""How long a kubelet of version 1.36 or newer stands still when a list of many units joins its books.

With the gate ResourceHealthStatus, on by default from 1.36, the kubelet searches all allocated devices of all pods for
each device that is new to it: after its own restart that is every device. Ids of deleted pods count as allocated until
the next admission of a pod that asks for devices, or a PodResources List. Meanwhile no pod of the node is admitted.
"""

# Measured with Kubernetes 1.36.2: per pair of a joining and an allocated device.
SECONDS_PER_PAIR = 75e-9
# From here on a full node stands still for some 20 seconds, and the operator hears of it.
ADVICE_FROM_UNITS = 16_384
# A stand-still that is worth a call of PodResources List, and a short wait, before the kubelet is told the list.
LARGE_SECONDS = 5.0


def freeze_seconds(joining: int, allocated: int) -> float:
    """The estimate for `joining` units that are new to the kubelet and `allocated` ids, stale ones included."""
    return joining * allocated * SECONDS_PER_PAIR


def advice(units: int) -> str | None:
    """What to do on a node with so many units, or None where it has too few to matter."""
    if units <= ADVICE_FROM_UNITS:
        return None
    return (
        f"with {units:,} units of EPC, a kubelet of 1.36 or newer admits no pod for up to "
        f"{in_words(freeze_seconds(units, units))} after its restart when all are allocated: set the kubelet's feature "
        "gates ResourceHealthStatus=false and ResourceHealthStatusMessage=false, or withhold EPC with --reserve"
    )


def in_words(seconds: float) -> str:
    """A length of time for a sentence."""
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
