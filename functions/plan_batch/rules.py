"""What a row of a batch must be: the rules that the live version's own signature has, as a contract.

Not today's contract, which may ask for what the live version never saw; the target is not asked for at all. Of today's
contract comes only the row key's type, so that the output holds it as the input does.
"""

from penstock.contract.model import Column, Contract
from penstock.scoring.signature import Signature

NO_KEY = "_key"
"""Stands for the key in a file that has none; a contract is not one without."""


def rules(signature: Signature, key: Column) -> Contract:
    """The contract of a batch's rows: the signature's fields as features, and the row key, which may be missing.

    Args:
        signature: the live version's.
        key: of today's contract; left aside where the version does not know it.
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
    known = key.name in signature.carried
    columns = (Column(key.name if known else NO_KEY, key.type, "key"), *features)
    return Contract(signature.model, "", columns, tolerance=1.0, digest="")
