"""The template as CloudFormation sees it, with the queue and without, and the package that goes with it."""

from __future__ import annotations

import json
import marshal
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

import boto3
import pytest
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from tests import sam
from tests.eskit import ROOT

ALARMS: Final = {
    "IngestDeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0),
    "DeliveryDeadLettersAlarm": ("AWS/SQS", "ApproximateNumberOfMessagesVisible", 0),
    "ErrorsAlarm": ("AWS/Lambda", "Errors", 0),
    "ThrottlesAlarm": ("AWS/Lambda", "Throttles", 0),
    "DuplicatesAlarm": ("eventsourcing_kit", "Duplicates", 1000),
    "TwinsAlarm": ("eventsourcing_kit", "Twins", 1000),
}


@dataclass(frozen=True)
class Rendered:
    """What CloudFormation would make with some parameters: conditions are decided, references stay."""

    resources: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.resources[name]["Properties"]

    def of_type(self, type_: str) -> list[str]:
        return sorted(name for name, resource in self.resources.items() if resource["Type"] == type_)


def render(**parameters: str) -> Rendered:
    template = yaml_parse(sam.TEMPLATE.read_text())
    template["Resources"]["IngestFunction"]["Properties"]["CodeUri"] = "s3://artifacts/ingest.zip"
    session = boto3.Session(region_name="eu-west-1")
    plain = Translator({}, Parser(), boto_session=session).translate(template, parameters)
    values = {name: each["Default"] for name, each in plain["Parameters"].items()} | parameters
    conditions = plain["Conditions"]
    kept = {
        name: resource
        for name, resource in plain["Resources"].items()
        if "Condition" not in resource or _holds(resource["Condition"], conditions, values)
    }
    return Rendered({name: _decided(resource, conditions, values) for name, resource in kept.items()})


GONE: Final = object()


def _decided(value: Any, conditions: dict[str, Any], values: dict[str, Any]) -> Any:
    """`Fn::If` gives way to what it chooses, and a reference to a parameter to its value."""
    if isinstance(value, list):
        decided = [_decided(each, conditions, values) for each in value]
        return [each for each in decided if each is not GONE]
    if not isinstance(value, dict):
        return value
    if set(value) == {"Fn::If"}:
        name, then, otherwise = value["Fn::If"]
        return _decided(then if _holds(name, conditions, values) else otherwise, conditions, values)
    if value == {"Ref": "AWS::NoValue"}:
        return GONE
    if set(value) == {"Ref"} and value["Ref"] in values:
        return values[value["Ref"]]
    members = {name: _decided(each, conditions, values) for name, each in value.items()}
    return {name: each for name, each in members.items() if each is not GONE}


def _holds(condition: Any, conditions: dict[str, Any], values: dict[str, Any]) -> bool:
    if isinstance(condition, str):
        return _holds(conditions[condition], conditions, values)
    ((function, operands),) = condition.items()
    if function == "Condition":
        return _holds(operands, conditions, values)
    if function == "Fn::Not":
        return not _holds(operands[0], conditions, values)
    assert function == "Fn::Equals", f"the tests do not know {function}"
    left, right = _decided(operands, conditions, values)
    return bool(left == right)


@pytest.fixture(scope="module")
def queued() -> Rendered:
    return render()


@pytest.fixture(scope="module")
def direct() -> Rendered:
    return render(Buffer="none")


@pytest.fixture(params=["queue", "none"])
def either(request: pytest.FixtureRequest, queued: Rendered, direct: Rendered) -> Rendered:
    return queued if request.param == "queue" else direct


def arn(name: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, "Arn"]}


def test_a_removed_stack_leaves_the_table_and_nobody_deletes_it_by_mistake(either: Rendered) -> None:
    table = either.resources["EventTable"]
    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_the_table_is_on_demand_encrypted_and_expires_events(either: Rendered) -> None:
    table = either["EventTable"]
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expireRecord", "Enabled": True}
    assert table["KeySchema"] == [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ]


def test_the_one_index_holds_keys_only(either: Rendered) -> None:
    (index,) = either["EventTable"]["GlobalSecondaryIndexes"]
    assert index == {
        "IndexName": "correlationId",
        "KeySchema": [
            {"AttributeName": "correlationId", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ],
        "Projection": {"ProjectionType": "KEYS_ONLY"},
    }


def test_the_table_has_a_stream_of_its_changes_only_where_it_is_asked_for(queued: Rendered) -> None:
    assert "StreamSpecification" not in queued["EventTable"]
    assert render(TableStream="yes")["EventTable"]["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_there_is_a_table_for_snapshots_only_where_it_is_asked_for(queued: Rendered) -> None:
    assert {"SnapshotTable", "SnapshotsPolicy"} & set(queued.resources) == set()
    rendered = render(Snapshots="yes")
    table = rendered["SnapshotTable"]
    assert table["TableName"] == {"Fn::Sub": "${Environment}-events-snapshots"}
    for name in ("BillingMode", "KeySchema", "SSESpecification", "TimeToLiveSpecification"):
        assert table[name] == rendered["EventTable"][name]
    assert set(rendered.resources) - set(queued.resources) == {"SnapshotTable", "SnapshotsPolicy"}
    assert rendered["EventTable"] == queued["EventTable"]


def test_with_snapshots_whoever_rebuilds_may_find_and_save_them_and_the_function_nothing_more(queued: Rendered) -> None:
    rendered = render(Snapshots="yes")
    (statement,) = rendered["SnapshotsPolicy"]["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["dynamodb:Query", "dynamodb:PutItem"]
    assert statement["Resource"] == arn("SnapshotTable")
    for name in ("IngestRole", "IngestFunction", "ReaderPolicy", "AllStreamsPolicy"):
        assert rendered[name] == queued[name]


def test_the_function_is_an_arm64_python_with_half_a_gigabyte_and_half_a_minute(either: Rendered) -> None:
    function = either["IngestFunction"]
    assert (function["Runtime"], function["Architectures"]) == ("python3.13", ["arm64"])
    assert (function["MemorySize"], function["Timeout"]) == (512, 30)
    assert function["ReservedConcurrentExecutions"] == 10
    assert function["Handler"] == "ingest.app.lambda_handler"
    assert function["Role"] == arn("IngestRole")


def test_with_the_queue_five_receives_end_in_the_dead_letter_queue(queued: Rendered) -> None:
    queue = queued["EventQueue"]
    assert queue["RedrivePolicy"] == {"deadLetterTargetArn": arn("IngestDeadLetters"), "maxReceiveCount": 5}
    assert queue["VisibilityTimeout"] == 6 * queued["IngestFunction"]["Timeout"] == 180


def test_with_the_queue_only_the_failed_messages_of_a_batch_come_again(queued: Rendered) -> None:
    mapping = queued["QueueMapping"]
    assert mapping["EventSourceArn"] == arn("EventQueue")
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert queued.of_type("AWS::Lambda::EventInvokeConfig") == []


def test_the_queue_hands_out_no_more_batches_at_once_than_the_function_may_run() -> None:
    rendered = render(ReservedConcurrency="25")
    assert rendered["QueueMapping"]["ScalingConfig"] == {"MaximumConcurrency": "25"}
    assert rendered["IngestFunction"]["ReservedConcurrentExecutions"] == "25"


def test_without_the_queue_the_function_hands_what_it_could_not_do_to_the_dead_letter_queue(direct: Rendered) -> None:
    assert direct.of_type("AWS::Lambda::EventInvokeConfig") == ["DirectFailures"]
    assert direct["DirectFailures"]["DestinationConfig"] == {"OnFailure": {"Destination": arn("IngestDeadLetters")}}
    assert direct["DirectFailures"]["MaximumRetryAttempts"] == 2
    assert direct["IngestFunction"]["Environment"]["Variables"]["DEAD_LETTER_QUEUE_URL"] == {"Ref": "IngestDeadLetters"}
    assert direct.of_type("AWS::Lambda::EventSourceMapping") == []
    assert "EventQueue" not in direct.resources


def test_the_rule_tries_for_a_day_and_then_dead_letters(queued: Rendered, direct: Rendered) -> None:
    for rendered, rule, target in ((queued, "QueuedRule", "EventQueue"), (direct, "DirectRule", "IngestFunction")):
        assert rendered.of_type("AWS::Events::Rule") == [rule]
        (only,) = rendered[rule]["Targets"]
        assert only["Arn"] == arn(target)
        assert only["DeadLetterConfig"] == {"Arn": arn("DeliveryDeadLetters")}
        assert only["RetryPolicy"] == {"MaximumEventAgeInSeconds": 86400, "MaximumRetryAttempts": 185}


def test_only_the_rule_may_send_to_queue_delivery_dead_letters_and_function(queued: Rendered, direct: Rendered) -> None:
    for rendered, rule, policies in (
        (queued, "QueuedRule", ["DeliveryDeadLettersPolicy", "QueuePolicy"]),
        (direct, "DirectRule", ["DeliveryDeadLettersPolicy"]),
    ):
        assert rendered.of_type("AWS::SQS::QueuePolicy") == policies
        for policy in policies:
            (statement,) = rendered[policy]["PolicyDocument"]["Statement"]
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": arn(rule)}}
    assert direct.of_type("AWS::Lambda::Permission") == ["DirectPermission"]
    assert direct["DirectPermission"]["SourceArn"] == arn("DirectRule")
    assert queued.of_type("AWS::Lambda::Permission") == []


def test_all_queues_are_encrypted_and_keep_messages_for_fourteen_days(queued: Rendered, direct: Rendered) -> None:
    assert queued.of_type("AWS::SQS::Queue") == ["DeliveryDeadLetters", "EventQueue", "IngestDeadLetters"]
    assert direct.of_type("AWS::SQS::Queue") == ["DeliveryDeadLetters", "IngestDeadLetters"]
    for name in queued.of_type("AWS::SQS::Queue"):
        assert queued[name]["SqsManagedSseEnabled"] is True
        assert queued[name]["MessageRetentionPeriod"] == 14 * 86_400


def test_alarms_stand_on_what_means_something(queued: Rendered, direct: Rendered) -> None:
    def watched(rendered: Rendered) -> dict[str, tuple[str, str, int]]:
        names = rendered.of_type("AWS::CloudWatch::Alarm")
        alarms = {name: rendered[name] for name in names}
        return {name: (each["Namespace"], each["MetricName"], each["Threshold"]) for name, each in alarms.items()}

    assert watched(direct) == ALARMS
    assert watched(queued) == {**ALARMS, "OldestMessageAlarm": ("AWS/SQS", "ApproximateAgeOfOldestMessage", 900)}


def test_alarms_notify_a_topic_where_there_is_one(queued: Rendered) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:night-shift"
    loud = render(AlarmTopicArn=topic)
    for name in queued.of_type("AWS::CloudWatch::Alarm"):
        assert "AlarmActions" not in queued[name]
        assert loud[name]["AlarmActions"] == [topic]


def test_no_policy_has_a_wildcard_or_is_one_of_aws(either: Rendered) -> None:
    statements = [
        statement
        for name in either.of_type("AWS::IAM::ManagedPolicy") + either.of_type("AWS::SQS::QueuePolicy")
        for statement in either[name]["PolicyDocument"]["Statement"]
    ]
    for role in either.of_type("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in either[role]
        statements += [each for policy in either[role]["Policies"] for each in policy["PolicyDocument"]["Statement"]]
    assert len(statements) >= 7
    for statement in statements:
        assert "*" not in json.dumps([statement["Action"], statement["Resource"]])
        assert not {"NotAction", "NotResource", "NotPrincipal"} & set(statement)
    assert "arn:aws:iam::aws:policy" not in json.dumps(either.resources)
    assert either.of_type("AWS::IAM::Role") == ["IngestRole"]


def test_the_function_may_do_these_things_and_no_others(queued: Rendered, direct: Rendered) -> None:
    def allowed(rendered: Rendered) -> dict[str, str | list[str]]:
        (policy,) = rendered["IngestRole"]["Policies"]
        return {each["Sid"]: each["Action"] for each in policy["PolicyDocument"]["Statement"]}

    always: dict[str, str | list[str]] = {
        "PutEvents": "dynamodb:PutItem",
        "DeadLetters": "sqs:SendMessage",
        "Log": ["logs:CreateLogStream", "logs:PutLogEvents"],
    }
    takes = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    assert allowed(direct) == always
    assert allowed(queued) == {**always, "TakeMessages": takes}


def test_a_reader_may_query_streams_and_query_and_scan_the_keys_of_the_index(either: Rendered) -> None:
    statements = {each["Sid"]: each for each in either["ReaderPolicy"]["PolicyDocument"]["Statement"]}
    assert {name: each["Action"] for name, each in statements.items()} == {
        "ReadStreams": ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:BatchGetItem"],
        "ReadTrails": ["dynamodb:Query", "dynamodb:Scan"],
    }
    assert "/index/correlationId" in json.dumps(statements["ReadTrails"]["Resource"])


def test_the_dashboard_is_json_and_its_widgets_do_not_overlap() -> None:
    (body, _) = render()["Dashboard"]["DashboardBody"]["Fn::Sub"]
    places = [(widget["x"], widget["y"]) for widget in json.loads(body)["widgets"]]
    assert places == [(0, 0), (12, 0), (0, 6), (12, 6)]


def test_cfn_lint_finds_nothing() -> None:
    done = subprocess.run([sam.tool("cfn-lint"), sam.TEMPLATE], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_sam_validates_it_and_its_lint_finds_nothing() -> None:
    done = subprocess.run(
        [sam.tool("sam"), "validate", "--lint", "--region", "eu-west-1", "--template", sam.TEMPLATE],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "is a valid SAM Template" in done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of `make build-ingest`, made with this interpreter's pip out of wheels for Lambda."""
    directory = tmp_path_factory.mktemp("package")
    done = subprocess.run(
        ["make", "build-ingest", f"BIN={Path(sys.executable).parent}", f"BUILD={directory}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return directory / "ingest.zip"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for this machine's Python, which can compile it."""
    directory = tmp_path_factory.mktemp("compiled")
    subprocess.run(
        ["make", "build-ingest", f"BIN={Path(sys.executable).parent}", f"BUILD={directory}", "INGEST_PLATFORM=here"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=300,
    )
    return directory / "ingest"


@pytest.mark.xdist_group("package")
def test_the_package_brings_its_modules_compiled_so_that_no_cold_start_has_to(compiled: Path) -> None:
    modules = sorted(compiled.rglob("*.py"))
    assert len(modules) > 100
    for module in modules:
        code = Path(cache_from_source(str(module))).read_bytes()
        # Hash-based and not to be checked: files in a zip have times of their own.
        assert code[:8] == MAGIC_NUMBER + (1).to_bytes(4, "little"), module
        assert code[8:16] == source_hash(module.read_bytes()), module
        path = marshal.loads(code[16:]).co_filename  # noqa: S302 - made just above
        assert path == f"/var/task/{module.relative_to(compiled)}"


@pytest.mark.xdist_group("package")
def test_the_package_is_small_and_for_arm64(package: Path) -> None:
    assert package.stat().st_size < 10_000_000
    with ZipFile(package) as zipped:
        compiled = [name for name in zipped.namelist() if name.endswith(".so")]
    assert compiled
    assert all(name.endswith("cpython-313-aarch64-linux-gnu.so") for name in compiled)


@pytest.mark.xdist_group("package")
def test_the_package_holds_the_modules_that_the_function_imports_and_no_others_of_the_kit(package: Path) -> None:
    with ZipFile(package) as zipped:
        names = [name for name in zipped.namelist() if not name.endswith("/")]
    files = {name for name in names if "__pycache__/" not in name}
    ours = {name for name in files if name.partition("/")[0] in ("eventsourcing_kit", "ingest")}
    assert ours == _imported_by_the_function()
    others = {name.partition("/")[0] for name in files - ours}
    assert others == {"aws_lambda_powertools", "jmespath", "msgspec", "typing_extensions.py"}  # Lambda brings boto3


def _imported_by_the_function() -> set[str]:
    code = """
import os, sys, ingest.app
for name, module in sys.modules.items():
    if name.partition(".")[0] in ("eventsourcing_kit", "ingest"):
        print(os.path.relpath(module.__file__))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "TABLE_NAME": "events", "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


@pytest.mark.xdist_group("package")
def test_sam_builds_the_same_package(package: Path, tmp_path: Path) -> None:
    built = sam.build(tmp_path / "build").parent / "IngestFunction"
    with ZipFile(package) as zipped:
        zipped_files = {name: zipped.read(name) for name in zipped.namelist() if not name.endswith("/")}
    built_files = {str(path.relative_to(built)): path.read_bytes() for path in built.rglob("*") if path.is_file()}
    assert sorted(built_files) == sorted(zipped_files)
    assert built_files == zipped_files
