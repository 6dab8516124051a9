"""The peer in Python: a READ as the AWS sample POC::Azure::BlobStorage does it, with the libraries it uses.

A token from Entra and one GET of the storage account in every invocation, five log records, and the Python plugin's own
delivery of logs and metrics. AUTHORITY and RESOURCE_MANAGER are where Azure is; the sample has the public cloud's built in.
"""

import logging
import os
from dataclasses import dataclass
from typing import Any, Mapping, MutableMapping, Optional

import adal
import requests
from cloudformation_cli_python_lib import (
    Action,
    HandlerErrorCode,
    OperationStatus,
    ProgressEvent,
    Resource,
    SessionProxy,
)
from cloudformation_cli_python_lib.interface import BaseModel, BaseResourceHandlerRequest

LOG = logging.getLogger(__name__)
LOG.setLevel(logging.DEBUG)


@dataclass
class ResourceModel(BaseModel):
    TenantId: Optional[str] = None
    ClientId: Optional[str] = None
    ClientSecret: Optional[str] = None
    SubscriptionId: Optional[str] = None
    ResourceGroup: Optional[str] = None
    AccountName: Optional[str] = None

    @classmethod
    def _deserialize(cls, json_data: Optional[Mapping[str, Any]]) -> Optional["ResourceModel"]:
        return cls(**json_data) if json_data else None


resource = Resource("Azure::Storage::StorageAccount", ResourceModel)


def token_for(model: ResourceModel) -> str:
    # The public cloud's host is known to ADAL, so the sample does not ask for its validation either.
    context = adal.AuthenticationContext(f"{os.environ['AUTHORITY']}/{model.TenantId}", validate_authority=False)
    token = context.acquire_token_with_client_credentials(
        os.environ["RESOURCE_MANAGER"], model.ClientId, model.ClientSecret
    )
    return token["accessToken"]


@resource.handler(Action.READ)
def read(
    _session: Optional[SessionProxy], request: BaseResourceHandlerRequest, _context: MutableMapping[str, Any]
) -> ProgressEvent:
    model = request.desiredResourceState
    LOG.debug("read: begin")
    LOG.debug("read: %s in %s", model.AccountName, model.ResourceGroup)
    url = (
        f"{os.environ['RESOURCE_MANAGER']}/subscriptions/{model.SubscriptionId}/resourceGroups/{model.ResourceGroup}"
        f"/providers/Microsoft.Storage/storageAccounts/{model.AccountName}?api-version=2023-05-01"
    )
    answer = requests.get(url, headers={"Authorization": f"Bearer {token_for(model)}"})
    LOG.debug("read: Azure answered %s", answer.status_code)
    if answer.status_code != 200:
        return ProgressEvent.failed(HandlerErrorCode.NotFound, f"{model.AccountName}: {answer.status_code}")
    LOG.info("read: %s exists", model.AccountName)
    LOG.debug("read: end")
    return ProgressEvent(status=OperationStatus.SUCCESS, resourceModel=model)
