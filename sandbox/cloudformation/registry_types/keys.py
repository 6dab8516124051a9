"""AWS::KMS::Key, whose numbers and booleans come as strings when they come from a parameter."""

from .engine import module

NUMBERS = ("PendingWindowInDays", "RotationPeriodInDays")
BOOLEANS = ("Enabled", "EnableKeyRotation", "MultiRegion")


def install():
    """Gives MiniStack's keys their properties in the types that its KMS computes with."""
    entry = module("provisioners")._RESOURCE_HANDLERS["AWS::KMS::Key"]
    create, update, delete = entry["create"], entry["update"], entry["delete"]
    entry.update(
        create=lambda logical_id, props, stack_name: create(logical_id, typed(props), stack_name),
        update=lambda physical_id, old, new, stack_name: update(physical_id, typed(old), typed(new), stack_name),
        delete=lambda physical_id, props: delete(physical_id, typed(props)))


def typed(props):
    """The properties with numbers as numbers and booleans as booleans."""
    numbers = {name: int(props[name]) for name in NUMBERS if name in props}
    booleans = {name: str(props[name]).lower() == "true" for name in BOOLEANS if name in props}
    return {**props, **numbers, **booleans}
