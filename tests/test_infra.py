"""The whole way, without an AWS account: the template deployed, an event put on the bus, its stream rebuilt.

`ministack` plays AWS on loopback and evaluates IAM policies for every call (AUTH=true). What it leaves out is proven
elsewhere or not at all: its bus does not retry, and it does not ask whether the bus may invoke the function.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import boto3
import pytest
from botocore.exceptions import ClientError

from tests import sam
from tests.eskit import COMMAND, ROOT, Done
from tests.servers import ministack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("infra")  # one deployment serves all of these tests

REGION: Final = "eu-west-1"
ROOT_USER: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
SERVICES: Final = "cloudformation,cloudwatch,dynamodb,events,iam,lambda,logs,s3,sqs,sts"
PATIENCE: Final = 60  # seconds; an event takes one or two
KEY: Final = {"pk": {"S": "order-1"}, "sk": {"S": "2026-03-24T09:00:00.000Z#OrderPlaced"}}
ORDER: Final[Mapping[str, Any]] = {
    "metaData": {"time": "2026-03-24T11:03:27.123Z"},
    "data": {"primaryKey": "order-17", "total": 4990},
}


@dataclass(frozen=True)
class Stack:
    """A deployed stack: the outputs of its template, and the names that CloudFormation gave."""

    outputs: Mapping[str, str]
    resources: Mapping[str, str]

    @property
    def table(self) -> str:
        return self.outputs["TableName"]


@dataclass(frozen=True)
class Account:
    """An account that `ministack` plays, as somebody sees it."""

    endpoint: str
    credentials: Mapping[str, str]  # as variables of the environment

    def client(self, service: str) -> Any:
        names = {name.lower(): value for name, value in self.credentials.items()}
        return boto3.client(service, region_name=REGION, endpoint_url=self.endpoint, **names)  # type: ignore[call-overload]

    def environ(self) -> dict[str, str]:
        aws = {**self.credentials, "AWS_ENDPOINT_URL": self.endpoint, "AWS_DEFAULT_REGION": REGION}
        return {**os.environ, **aws, "SAM_CLI_TELEMETRY": "0", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

    def user(self, name: str, *policies: str) -> Account:
        """The account as a new user with these managed policies sees it."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        for policy in policies:
            iam.attach_user_policy(UserName=name, PolicyArn=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Account(self.endpoint, _variables(key))

    def role(self, name: str) -> Account:
        """The account as a role sees it. The role is told to trust a user of the tests; what it may do stays."""
        iam = self.client("iam")
        arn = iam.get_role(RoleName=name)["Role"]["Arn"]
        user = self.user(f"wears-{name}")
        trust = {"Effect": "Allow", "Action": "sts:AssumeRole"}
        principal = {"AWS": user.client("sts").get_caller_identity()["Arn"]}
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=_policy(trust | {"Principal": principal}))
        iam.put_user_policy(
            UserName=f"wears-{name}", PolicyName="wear", PolicyDocument=_policy(trust | {"Resource": arn})
        )
        worn = user.client("sts").assume_role(RoleArn=arn, RoleSessionName="tests")["Credentials"]
        return Account(self.endpoint, _variables(worn))


def _variables(key: Mapping[str, str]) -> dict[str, str]:
    found = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return found | ({"AWS_SESSION_TOKEN": key["SessionToken"]} if "SessionToken" in key else {})


def _policy(statement: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """As its root user sees it; the bus of the shop is there already."""
    directory = tmp_path_factory.mktemp("aws")
    with ministack(directory, AUTH="true", SERVICES=SERVICES, MINISTACK_REGION=REGION, **ROOT_USER) as (endpoint, _):
        account = Account(endpoint, ROOT_USER)
        account.client("events").create_event_bus(Name="Orders")
        account.client("s3").create_bucket(Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": REGION})
        yield account


@pytest.fixture(scope="module")
def stacks(account: Account, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Stack]:
    """One stack with the queue and one without it, on the same bus, built once for this machine."""
    template = sam.build(tmp_path_factory.mktemp("sam") / "build", platform="here")
    wanted = {
        "dev": ("RetentionDays=36500",),
        "direct": ("RetentionDays=36500", "Environment=direct", "Buffer=none", "Snapshots=yes"),
    }
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: _deploy(account, template, name, *wanted[name]), wanted))
    queued = _stack(account, "dev")
    # ministack keeps a referenced number as text here, and its poller then fails to compare it; AWS takes it as it is.
    account.client("lambda").update_event_source_mapping(
        UUID=queued.resources["QueueMapping"], ScalingConfig={"MaximumConcurrency": 10}
    )
    return {"queue": queued, "none": _stack(account, "direct")}


def _deploy(account: Account, template: Path, name: str, *parameters: str) -> None:
    done = subprocess.run(
        [
            *(sam.tool("sam"), "deploy", "--template", template, "--stack-name", name, "--region", REGION),
            *("--s3-bucket", "artifacts", "--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"),
            *("--no-confirm-changeset", "--no-progressbar", "--parameter-overrides", *parameters),
        ],
        cwd=template.parent,
        env=account.environ(),
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _stack(account: Account, name: str) -> Stack:
    cloudformation = account.client("cloudformation")
    outputs = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["Outputs"]
    resources = cloudformation.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(
        outputs={output["OutputKey"]: output["OutputValue"] for output in outputs},
        resources={resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources},
    )


@pytest.fixture(scope="module", params=["queue", "none"])
def stack(request: pytest.FixtureRequest, stacks: dict[str, Stack]) -> Stack:
    return stacks[request.param]


@pytest.fixture(scope="module")
def reader(account: Account, stack: Stack) -> Account:
    """A user who may do what the stack's policy for readers says, and nothing else."""
    return account.user(f"reader-of-{stack.table}", stack.outputs["ReaderPolicyArn"])


@pytest.fixture(scope="module")
def function(account: Account, stack: Stack) -> Account:
    """The account as the deployed function's own role sees it."""
    return account.role(stack.resources["IngestRole"])


def _put(account: Account, detail: Mapping[str, Any]) -> None:
    entry = {"Source": "shop", "DetailType": "OrderPlaced", "EventBusName": "Orders", "Detail": json.dumps(detail)}
    assert account.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def _rebuild(reader: Account, stack: Stack, stream: str) -> Done:
    return _eskit(reader, stack, "rebuild", "orders", stream)


def _eskit(reader: Account, stack: Stack, *arguments: str) -> Done:
    """A command, pointed at the stack's own output."""
    store = f"{stack.outputs['StoreUrl']}&endpoint_url={quote(reader.endpoint, safe='')}"
    done = subprocess.run(
        [*COMMAND, *arguments, "--store", store],
        cwd=ROOT,
        env=reader.environ(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def _until(look: Callable[[], Any], there: Callable[[Any], bool]) -> Any:
    """What `look` finds as soon as it is `there`, or in the end: a bus tells nobody when it has delivered."""
    deadline = time.monotonic() + PATIENCE
    while not there(found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def test_an_event_on_the_bus_is_in_the_state_that_a_reader_rebuilds(
    account: Account, reader: Account, stack: Stack
) -> None:
    _put(account, ORDER)
    done = _until(lambda: _rebuild(reader, stack, "order-17"), lambda done: '"events":1' in done.out)
    assert done.code == 0, done.err
    assert done.records[0]["state"] == {"status": "placed", "total": 4990, "paid": 0, "refunded": 0, "balance": 0}
    assert done.records[0]["last"]["key"] == "2026-03-24T11:03:27.123Z#OrderPlaced"


def test_a_reader_follows_a_trail_and_asks_what_usually_comes_by_the_index_of_the_stack(
    account: Account, reader: Account, stack: Stack
) -> None:
    for order in ("order-18", "order-19"):
        _put(
            account,
            {"data": {"primaryKey": order}, "metaData": {**ORDER["metaData"], "correlationId": f"cart-of-{order}"}},
        )
    done = _until(lambda: _eskit(reader, stack, "trail", "cart-of-order-19"), lambda done: bool(done.out))
    assert (done.code, [record["stream"] for record in done.records]) == (0, ["order-19"]), done.err
    other = _until(lambda: _eskit(reader, stack, "trail", "cart-of-order-18", "--similar"), lambda done: bool(done.out))
    assert (other.code, [record["standing"] for record in other.records]) == (0, ["came"]), other.err
    denied = _eskit(reader, stack, "trail", "cart-of-order-19", "--scan")
    assert (denied.code, "AccessDenied" in denied.err) == (4, True)


def test_an_event_that_no_retry_can_cure_is_in_the_dead_letter_queue_with_its_reason(
    account: Account, stack: Stack
) -> None:
    _put(account, {"data": {"primaryKey": 7}, "metaData": {"mark": stack.table}})
    sqs = account.client("sqs")

    def letters() -> list[Any]:
        answer = sqs.receive_message(
            QueueUrl=stack.outputs["IngestDeadLetterQueueUrl"],
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            WaitTimeSeconds=5,
        )
        return [each for each in answer.get("Messages", []) if f'"mark":"{stack.table}"' in _dense(each["Body"])]

    (letter,) = _until(letters, bool)
    assert {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()} == {
        "error": "InvalidEnvelope",
        "reason": "detail.data.primaryKey: found a number, expected text of 1 to 2,048 bytes",
    }


def _dense(body: str) -> str:
    return json.dumps(json.loads(body), separators=(",", ":"))


def test_the_function_may_put_items_and_dead_letters_and_nothing_else_of_all_that_is_tried(
    function: Account, stack: Stack
) -> None:
    allowed, denied = _tried(function, stack)
    takes_messages = {"sqs.receive_message EventQueue"} if "EventQueue" in stack.resources else set()
    assert allowed == {"dynamodb.put_item", "sqs.send_message IngestDeadLetters"} | takes_messages
    assert denied >= FORBIDDEN | {"dynamodb.get_item", "dynamodb.batch_get_item", "dynamodb.query"}
    assert len(denied) >= 20


def test_a_reader_may_read_streams_whose_names_are_known_and_nothing_else_of_all_that_is_tried(
    reader: Account, stack: Stack
) -> None:
    allowed, denied = _tried(reader, stack)
    assert allowed == READS
    assert denied >= FORBIDDEN | {"dynamodb.put_item"}


def test_only_with_the_second_policy_a_reader_lists_the_streams(account: Account, stack: Stack) -> None:
    policies = [stack.outputs["ReaderPolicyArn"], stack.outputs["AllStreamsPolicyArn"]]
    allowed, _ = _tried(account.user(f"lister-of-{stack.table}", *policies), stack)
    assert allowed == READS | {"dynamodb.scan", "dynamodb.describe_table"}


def test_only_with_the_policy_for_snapshots_a_reader_finds_and_saves_them(
    account: Account, stacks: dict[str, Stack]
) -> None:
    stack = stacks["none"]
    stream = f"order-{secrets.token_hex(4)}"
    _put(account, {"metaData": {"time": "2026-03-01T12:00:00Z"}, "data": {"primaryKey": stream, "total": 42}})
    _until(lambda: _rebuild(account, stack, stream).out, lambda out: '"events":1' in out)
    policies = [stack.outputs["ReaderPolicyArn"], stack.outputs["SnapshotsPolicyArn"]]
    saver = account.user(f"saver-of-{stack.table}", *policies)
    for _ in range(2):
        done = _eskit(saver, stack, "rebuild", "orders", stream, "--snapshots", "1")
        assert (done.code, done.records[0]["events"]) == (0, 1)
    assert "1 state began at a snapshot" in done.err
    only_reads = account.user(f"reads-of-{stack.table}", stack.outputs["ReaderPolicyArn"])
    assert _eskit(only_reads, stack, "rebuild", "orders", stream, "--snapshots", "1").code == 4


READS: Final = {
    "dynamodb.get_item",
    "dynamodb.batch_get_item",
    "dynamodb.query",
    "dynamodb.query of the index",
    "dynamodb.scan of the index",
}
FORBIDDEN: Final = {
    "dynamodb.batch_write_item",
    "dynamodb.create_backup",
    "dynamodb.delete_item",
    "dynamodb.delete_table",
    "dynamodb.describe_table",
    "dynamodb.execute_statement",
    "dynamodb.list_tables",
    "dynamodb.put_item of another table",
    "dynamodb.scan",
    "dynamodb.transact_write_items",
    "dynamodb.update_item",
    "dynamodb.update_table",
    "dynamodb.update_time_to_live",
    "events.put_events",
    "iam.list_users",
    "iam.put_role_policy",
    "lambda.invoke",
    "lambda.update_function_configuration",
    "logs.describe_log_groups",
    "s3.get_object",
    "s3.list_buckets",
    "sqs.purge_queue",
    "sqs.receive_message IngestDeadLetters",
}


def _tried(account: Account, stack: Stack) -> tuple[set[str], set[str]]:
    """Which calls are allowed, and which are denied. The queue's messages are looked at, and come again at once."""
    allowed, denied = set(), set()
    clients: dict[str, Any] = {}
    for name, arguments in _calls(stack).items():
        service, _, operation = name.partition(" ")[0].partition(".")
        client = clients.setdefault(service, account.client(service))
        try:
            getattr(client, operation)(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("AccessDenied", "AccessDeniedException"):
                raise
            denied.add(name)
        else:
            allowed.add(name)
    return allowed, denied


def _calls(stack: Stack) -> dict[str, dict[str, Any]]:
    table, letters = stack.table, stack.outputs["IngestDeadLetterQueueUrl"]
    function, role = stack.outputs["FunctionName"], stack.resources["IngestRole"]
    entry = {"Source": "shop", "DetailType": "OrderPlaced", "EventBusName": "Orders", "Detail": "{}"}
    ttl = {"Enabled": False, "AttributeName": "expireRecord"}
    look = {"VisibilityTimeout": 0, "WaitTimeSeconds": 0}
    queue = stack.resources.get("EventQueue")
    return {
        "dynamodb.put_item": {"TableName": table, "Item": KEY},
        "dynamodb.put_item of another table": {"TableName": "another", "Item": KEY},
        "dynamodb.get_item": {"TableName": table, "Key": KEY},
        "dynamodb.batch_get_item": {"RequestItems": {table: {"Keys": [KEY]}}},
        "dynamodb.query": {
            "TableName": table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": "order-1"}},
        },
        "dynamodb.query of the index": {
            "TableName": table,
            "IndexName": "correlationId",
            "KeyConditionExpression": "correlationId = :id",
            "ExpressionAttributeValues": {":id": {"S": "cart-5"}},
        },
        "dynamodb.scan of the index": {"TableName": table, "IndexName": "correlationId"},
        "dynamodb.scan": {"TableName": table},
        "dynamodb.update_item": {"TableName": table, "Key": KEY},
        "dynamodb.delete_item": {"TableName": table, "Key": KEY},
        "dynamodb.batch_write_item": {"RequestItems": {table: [{"DeleteRequest": {"Key": KEY}}]}},
        "dynamodb.transact_write_items": {"TransactItems": [{"Delete": {"TableName": table, "Key": KEY}}]},
        "dynamodb.execute_statement": {"Statement": f'SELECT * FROM "{table}"'},  # noqa: S608 - it must be refused
        "dynamodb.list_tables": {},
        "dynamodb.describe_table": {"TableName": table},
        "dynamodb.update_table": {"TableName": table, "DeletionProtectionEnabled": False},
        "dynamodb.delete_table": {"TableName": table},
        "dynamodb.update_time_to_live": {"TableName": table, "TimeToLiveSpecification": ttl},
        "dynamodb.create_backup": {"TableName": table, "BackupName": "a-copy"},
        "events.put_events": {"Entries": [entry]},
        "iam.list_users": {},
        "iam.put_role_policy": {"RoleName": role, "PolicyName": "more", "PolicyDocument": "{}"},
        "lambda.invoke": {"FunctionName": function},
        "lambda.update_function_configuration": {"FunctionName": function, "Timeout": 900},
        "logs.describe_log_groups": {},
        "s3.get_object": {"Bucket": "artifacts", "Key": "any"},
        "s3.list_buckets": {},
        "sqs.purge_queue": {"QueueUrl": letters},
        "sqs.receive_message IngestDeadLetters": {"QueueUrl": letters} | look,
        "sqs.send_message IngestDeadLetters": {"QueueUrl": letters, "MessageBody": "{}"},
        **({"sqs.receive_message EventQueue": {"QueueUrl": queue} | look} if queue else {}),
    }
