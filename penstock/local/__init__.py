"""The laptop cloud: MiniStack with SageMaker in it, as a managed background process.

Start with `penstock.local.cloud.LaptopCloud`; everything else serves it. Nothing that is deployed imports from here.
"""

from penstock.local.cloud import CloudError, CloudStatus, LaptopCloud

__all__ = ["CloudError", "CloudStatus", "LaptopCloud"]
