"""The one image that all models' jobs run in, built from the project; on the laptop a name for the project itself."""

from pathlib import Path

from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.acknowledge import acknowledge
from infra.stages import Stage
from infra.training_code import DOCKERFILE, image_context


class TrainingImage(Construct):
    """The image by its URI, and who may use it."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, root: Path) -> None:
        super().__init__(scope, construct_id)
        self._repository: ecr.IRepository | None = None
        self.uri = stage.image or self._built(root)

    def grant_pull(self, grantee: iam.Role) -> None:
        """Allow pulling the image."""
        if self._repository is not None:
            self._repository.grant_pull(grantee)
            acknowledge(grantee, {"IAM5[Resource::*]": "A registry's login token and metrics have no resource."})

    def grant_describe(self, grantee: iam.IRole) -> None:
        """Allow reading the manifest, which the model registry does with the role that registers."""
        if self._repository is not None:
            self._repository.grant(grantee, "ecr:BatchGetImage", "ecr:DescribeImages", "ecr:GetDownloadUrlForLayer")

    def _built(self, root: Path) -> str:
        asset = ecr_assets.DockerImageAsset(
            self,
            "Image",
            directory=str(image_context(root)),
            file=DOCKERFILE,
            platform=ecr_assets.Platform.LINUX_AMD64,
        )
        self._repository = asset.repository
        return asset.image_uri
