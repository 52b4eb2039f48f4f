"""The laptop cloud: MiniStack with SageMaker added, run as a managed background process.

Start reading at `penstock.local.host.cloud.LaptopCloud`. Nothing that is deployed imports from here.
"""

from penstock.local.host.cloud import CloudError, CloudStatus, LaptopCloud

__all__ = ["CloudError", "CloudStatus", "LaptopCloud"]
