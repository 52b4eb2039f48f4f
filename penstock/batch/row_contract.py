"""The contract of a batch's rows: the rules in the live version's signature.

Today's contract may require what the live version never saw, and the target is not required at all. Only the row key's
type comes from today's contract, so that the output keeps the key as the input has it.
"""

from penstock.contract.model import Column, Contract
from penstock.scoring.signature import Signature

NO_KEY = "_key"
"""Name of the row key in a file that has none, since a contract must have one."""


def row_contract(signature: Signature, key: Column) -> Contract:
    """Return the contract of a batch's rows: the signature's fields as features, and the row key, which is optional.

    Args:
        signature: of the live version.
        key: row key of today's contract; ignored where the version does not know it.
    """
    features = [
        Column(
            field.name,
            field.type,
            "feature",
            required=field.required,
            minimum=field.minimum,
            maximum=field.maximum,
            min_length=field.min_length,
            max_length=field.max_length,
            pattern=field.pattern,
            allowed=field.allowed,
        )
        for field in signature.fields
    ]
    name = key.name if key.name in signature.carried else NO_KEY
    columns = (Column(name, key.type, "key"), *features)
    return Contract(signature.model, "", columns, tolerance=1.0, digest="")
