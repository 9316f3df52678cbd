import shlex
import stat

import pytest

from couponpress_worker.errors import KeyFileError, ServiceError
from couponpress_worker.sandbox.credentials import PLATFORM_FILE, Credentials, read_env, write_env
from couponpress_worker.settings import Secrets, Settings


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return Credentials.prepare(tmp_path_factory.mktemp("it's") / "deep" / "sandbox")


def test_a_client_can_be_set_up_from_the_env_file_alone(made):
    environment = read_env(write_env(made.directory, made.environment("http://127.0.0.1:8900")))
    settings = Settings.load({name.removeprefix("COUPONPRESS_").lower(): value for name, value in environment.items()})
    assert (settings.mchid, settings.mch_serial_no, settings.base_url) == (
        made.mchid,
        made.serial_no,
        "http://127.0.0.1:8900",
    )
    secrets = Secrets.read(settings)
    assert secrets.apiv3_key == made.apiv3_key
    assert secrets.private_key.public_key() == made.merchant_key
    assert secrets.public_keys == {made.public_key_id: made.platform_key.public_key}
    assert "COUPONPRESS_CA_FILE" not in environment


def test_the_env_file_is_what_a_shell_reads(made, tmp_path):
    environment = made.environment("https://127.0.0.1:1", tmp_path / "ca.pem")
    lines = write_env(made.directory, environment).read_text("utf-8").splitlines()
    assert all(line.startswith("export COUPONPRESS_") for line in lines)
    assert [shlex.split(line)[1].partition("=")[2] for line in lines] == list(environment.values())
    assert all(value.startswith("/") for name, value in environment.items() if name.endswith("_FILE"))


def test_key_files_are_for_their_owner_alone(made):
    write_env(made.directory, {})
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made.directory.iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 5


def test_a_directory_is_used_again(made):
    again = Credentials.prepare(made.directory)
    assert (again.serial_no, again.public_key_id, again.apiv3_key) == (
        made.serial_no,
        made.public_key_id,
        made.apiv3_key,
    )
    assert again.platform_key.sign(b"x") == made.platform_key.sign(b"x")


def test_a_directory_left_half_made_is_made_anew(made, tmp_path):
    (tmp_path / "apiclient_key.pem").write_text("half")
    assert Credentials.prepare(tmp_path).serial_no != made.serial_no


def test_secrets_are_not_shown(made):
    assert made.apiv3_key.decode() not in repr(made)
    assert str(made.platform_key.primes[0]) not in repr(made).replace(made.public_key_id, "").replace(
        made.serial_no, ""
    )


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        (PLATFORM_FILE, "{}", ServiceError, "delete the directory"),
        (PLATFORM_FILE, "{", ServiceError, "delete the directory"),
        ("apiclient_key.pem", "none", KeyFileError, "is no usable PEM"),
        ("apiclient_key.pem", None, ServiceError, "cannot use the directory"),
        ("apiv3_key.txt", "short", KeyFileError, "holds 5 bytes"),
    ],
)
def test_a_damaged_directory_says_what_to_do(made, tmp_path, name, content, error, said):
    for path in made.directory.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(error, match=said):
        Credentials.prepare(tmp_path)


def test_a_path_that_is_a_file_is_refused(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ServiceError, match="give it another one"):
        Credentials.prepare(path)
