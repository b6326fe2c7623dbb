"""Submits a diff over gRPC, watches it, and looks the verdict up. The messages come from the server by reflection.

    pip install grpcio grpcio-reflection protobuf
    FAILSAFE_GRPC=127.0.0.1:50051 python3 grpc_client.py change.diff
"""
import os, sys

import grpc
from google.protobuf import descriptor_pool, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

channel = grpc.insecure_channel(os.environ.get("FAILSAFE_GRPC", "127.0.0.1:50051"))
pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
service = pool.FindServiceByName("failsafe.v1.DeploymentService")

def message(name, **fields):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"failsafe.v1.{name}"))(**fields)

def method(name):
    """The call of that name. A service that is not there yet is tried again by the channel."""
    described = service.FindMethodByName(name)
    answer = message_factory.GetMessageClass(described.output_type)
    kind = channel.unary_stream if described.server_streaming else channel.unary_unary
    return kind(f"/{service.full_name}/{name}", lambda request: request.SerializeToString(), answer.FromString)

with open(sys.argv[1]) as file:
    request = message("SubmitDeploymentRequest", repository="acme/shop", pull_request=10, author="ada", diff=file.read())
deployment_id = method("SubmitDeployment")(request, timeout=10).deployment_id
print("submitted:", deployment_id)

# A watch that breaks off is taken up behind the last stage that was seen.
seen, over = 0, False
while not over:
    try:
        watch = message("WatchDeploymentRequest", deployment_id=deployment_id, after_sequence=seen)
        for stage in method("WatchDeployment")(watch):
            seen = stage.sequence or seen
            print(f"{stage.sequence:>6} {stage.WhichOneof('stage')}")
        over = True
    except grpc.RpcError as error:
        if error.code() != grpc.StatusCode.UNAVAILABLE:
            raise

# The audit trail may be a moment behind what the watch has told.
mask = {"paths": ["verdicts.judgement.verdict", "explanations.headline"]}
verdicts = []
while not verdicts:
    known = method("GetDeployment")(message("GetDeploymentRequest", deployment_id=deployment_id, read_mask=mask), timeout=10)
    verdicts = known.verdicts
names = pool.FindEnumTypeByName("failsafe.v1.Verdict").values_by_number
print(names[verdicts[0].judgement.verdict].name)
