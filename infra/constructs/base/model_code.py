"""A model's folder as an S3 asset, deployed beside the image that all models share."""

from pathlib import Path

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets
from constructs import Construct

from infra.training_code import model_archive


class ModelCode(Construct):
    """The zip file by its S3 URI, and who may read it."""

    def __init__(self, scope: Construct, construct_id: str, *, root: Path, model: str) -> None:
        super().__init__(scope, construct_id)
        path, digest = model_archive(root, model)
        self._asset = assets.Asset(self, "Archive", path=str(path), asset_hash=digest)
        self.uri = self._asset.s3_object_url

    def grant_read(self, grantee: iam.Role) -> None:
        """Allow reading this one object; the asset's own grant is for the whole bucket."""
        archive = self._asset.bucket.arn_for_objects(self._asset.s3_object_key)
        grantee.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=[archive]))
