"""A model's feature group: which features of an entity are stored, according to `model.yaml` and `contract.yaml`.

SageMaker cannot change a group's entity, its stores or the type of a feature. So the group's name contains a digest of
them: a change creates another group, which the next run fills from the whole dataset version. A published version is
bound to the group that it was rolled out with, as it is to its model file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from penstock.contract.model import Column, Contract
from penstock.features.names import feature_name
from penstock.spec.model import MODELS, FeatureStoring, ModelSpec, SpecError

FeatureType = Literal["Integral", "Fractional", "String"]
TYPES: Mapping[str, FeatureType] = {
    "string": "String",
    "integer": "Integral",
    "number": "Fractional",
    "boolean": "Integral",
}
UPLOADED = "uploaded_at"
"""Feature with the event time where the contract has none: when the upload was put."""
MOST_FEATURES = 2500
MOST_BINDING = 2000
"""Maximum characters: a function's environment holds 4 KB, and other variables need the rest."""
DIGITS = 8


@dataclass(frozen=True, kw_only=True)
class FeatureGroup:
    """The entity and features to store, and their names in SageMaker."""

    prefix: str
    """Prefix of the names of the model's groups."""
    entity: Column
    event_time: Column | None
    features: tuple[Column, ...]
    every: bool
    """Whether they are all of the contract's features."""
    online: bool
    offline: bool
    generation: int

    @property
    def time_name(self) -> str:
        """The feature that holds a record's event time."""
        return feature_name(self.event_time.name) if self.event_time else UPLOADED

    @property
    def definitions(self) -> dict[str, FeatureType]:
        """SageMaker's names and types; entity and event time first."""
        fixed: dict[str, FeatureType] = {feature_name(self.entity.name): TYPES[self.entity.type]}
        fixed[self.time_name] = "String"
        return fixed | {feature_name(column.name): TYPES[column.type] for column in self.features}

    @property
    def name(self) -> str:
        """The group's name, which depends on definitions, stores and generation."""
        content = [list(self.definitions.items()), self.online, self.offline, self.generation]
        return f"{self.prefix}-{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:DIGITS]}"

    @property
    def pattern(self) -> str:
        """Pattern of the names of this model's groups, including earlier ones, and of no other model's."""
        return _pattern(self.prefix)

    @property
    def binding(self) -> str:
        """What a published version needs to complete a request, as JSON; empty without an online store."""
        if not self.online:
            return ""
        names = None if self.every else [column.name for column in self.features]
        return json.dumps({"group": self.name, "entity": self.entity.name, "features": names}, separators=(",", ":"))


def feature_group(stage: str, spec: ModelSpec, contract: Contract) -> FeatureGroup | None:
    """Return the group of a model in a stage; None where `model.yaml` has no feature store.

    Raises:
        SpecError: the section does not fit the contract or SageMaker; says what to change.
    """
    if spec.feature_store is None:
        return None
    try:
        group = _group(_prefix(stage, spec.name), spec.feature_store, contract)
        _check(group)
    except SpecError as error:
        raise SpecError(f"{MODELS / spec.name / 'model.yaml'}: {error}") from None
    return group


def groups_pattern(stage: str, model: str) -> str:
    """Return `FeatureGroup.pattern` of a model, whether or not its specification has a feature store now."""
    return _pattern(_prefix(stage, model))


def _prefix(stage: str, model: str) -> str:
    return f"penstock-{stage}-{model}"


def _pattern(prefix: str) -> str:
    return f"{prefix}-{'?' * DIGITS}"


def _group(prefix: str, section: FeatureStoring, contract: Contract) -> FeatureGroup:
    entity = _entity(section, contract)
    features = _features(section, contract, entity)
    return FeatureGroup(
        prefix=prefix,
        entity=entity,
        event_time=contract.event_time,
        features=features,
        every=set(features) >= set(contract.features) - {entity},
        online=section.online,
        offline=section.offline,
        generation=section.generation,
    )


def _entity(section: FeatureStoring, contract: Contract) -> Column:
    name = section.entity or contract.key.name
    column = next((column for column in contract.columns if column.name == name), None)
    if column is None:
        raise _error("entity", f"the contract has no column {name!r}")
    if column.role not in {"key", "feature"}:
        raise _error("entity", f"{name!r} has the role {column.role}: the row key or a feature names an entity")
    if column.derived:
        raise _error("entity", f"{name!r} is a hash of the row, which no caller knows: name the column to ask by")
    if column.type not in {"string", "integer"}:
        raise _error("entity", f"{name!r} is of type {column.type}: a string or an integer names an entity")
    return column


def _features(section: FeatureStoring, contract: Contract, entity: Column) -> tuple[Column, ...]:
    available = {column.name: column for column in contract.features if column != entity}
    if unknown := [name for name in section.features or [] if name not in available]:
        raise _error("features", f"{unknown[0]!r} is no feature of the contract beside the entity {entity.name!r}")
    selection = set(section.features) if section.features is not None else set(available)
    if not selection:
        raise _error("features", f"the contract has no feature beside the entity {entity.name!r}")
    return tuple(column for name, column in available.items() if name in selection)


def _check(group: FeatureGroup) -> None:
    columns = 2 + len(group.features)
    if columns > MOST_FEATURES:
        most = MOST_FEATURES - 2
        raise _error("features", f"{len(group.features):,} are more than the {most:,} a feature group takes: name some")
    if len(group.definitions) < columns:
        raise _error("features", f"a column may not be called {group.time_name!r}: that is the event time's name")
    if len(group.binding) > MOST_BINDING:
        raise _error("features", "their names are too long together: take the list out, then all are stored")


def _error(field: str, sentence: str) -> SpecError:
    return SpecError(f"feature_store.{field}: {sentence}")
