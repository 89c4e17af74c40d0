"""The deployment file: what is refused, and in which words."""

import pytest

from common.settings import SettingsError
from deploy.sagemaker import requests
from deploy.sagemaker.config import Deployment, parse
from tests.deploy.sagemaker.conftest import EXAMPLE


def example(*replacements: tuple[str, str]) -> Deployment:
    text = EXAMPLE.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    return parse(text, "file")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "voxtral"', 'name = "-x"', "name: must be 1 to 48 letters"),
        (":1.0.0", ":latest", "model.image: must end in a digest, or in a tag other than latest"),
        (":1.0.0", "", "model.image: must end in a digest"),
        ("count = 2", "count = 0", "instances.count: must be 1 or more"),
        ("count = 2", "count = 5", "instances.count must be between scaling.min and scaling.max"),
        ("min = 2", "min = 5", "scaling: min must not exceed max"),
        ("sessions = 5", "sessions = 32", "must equal model.environment.SM_VLLM_MAX_NUM_SEQS"),
        ("ami = ", "amy = ", "instances.ami: must be set; instances.amy: is not a known setting"),
        ('"ml.g6e.4xlarge"', '"ml.g6.4xlarge"', "instances.types names a type twice"),
        ("[tags]", '[update]\nstrategy = "half"\n[tags]', "update.strategy: must be 'blue-green'"),
        ("[tags]", "[watch]\n[tags]", "watch.prometheus: must be set"),
        ("[tags]", '[prices]\n"ml.g6.4xlarge" = 0\n[tags]', "must be more than 0"),
        ("[tags]", "[tags", "is not valid TOML"),
    ],
)
def test_wrong_file_is_refused_in_one_line(old: str, new: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        example((old, new))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("file")


def test_rolling_update_needs_two_instances() -> None:
    rolling = ("[tags]", '[update]\nstrategy = "rolling"\n[tags]')
    policy = requests.update(example(rolling), "c", keep_count=True)["DeploymentConfig"]
    assert policy["RollingUpdatePolicy"]["MaximumBatchSize"]["Value"] == 50
    with pytest.raises(SettingsError, match="rolling needs two instances"):
        example(rolling, ("count = 2", "count = 1"), ("min = 2", "min = 1"))


def test_one_instance_is_updated_all_at_once() -> None:
    single = example(("count = 2", "count = 1"), ("min = 2", "min = 1"))
    policy = requests.update(single, "c", keep_count=True)["DeploymentConfig"]
    routing = policy["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing == {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 600}


def test_one_type_is_no_pool_and_the_default_ami_is_left_out() -> None:
    one = example((', "ml.g6e.4xlarge"', ""), ("al2023-ami-sagemaker-inference-gpu-4-1", "default"))
    (variant,) = requests.config(one)["ProductionVariants"]
    assert variant["InstanceType"] == "ml.g6.4xlarge"
    assert not variant.keys() & {"InstancePools", "InferenceAmiVersion"}


def test_vpc_and_kms_key_are_passed_on() -> None:
    private = example(
        ("count = 2", 'count = 2\nkms_key = "alias/x"'),
        ("[tags]", '[vpc]\nsubnets = ["subnet-1"]\nsecurity_groups = ["sg-1"]\n[tags]'),
    )
    assert requests.config(private)["KmsKeyId"] == "alias/x"
    assert requests.model(private)["VpcConfig"] == {
        "SecurityGroupIds": ["sg-1"],
        "Subnets": ["subnet-1"],
    }


def test_names_depend_on_content_but_not_on_tags_prices_or_alarms() -> None:
    name = requests.config(example())["EndpointConfigName"]
    other = example(("contact-center", "x"), ("[tags]", "[alarms]\nminutes = 9\n[tags]"))
    assert requests.config(other)["EndpointConfigName"] == name
    assert requests.config(example((":1.0.0", ":1.0.1")))["EndpointConfigName"] != name
    assert len(name) <= 63


def test_longest_waits_fit_sagemakers_limit() -> None:
    longest = example(
        ("sessions = 5", "sessions = 5\ndownload_timeout_s = 3600\nstartup_timeout_s = 3600"),
        ("[tags]", "[update]\nbake_s = 3600\ndrain_s = 3600\n[tags]"),
    )
    assert longest.deployment_timeout_s == 28_800
