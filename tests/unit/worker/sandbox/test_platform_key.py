import base64

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from hypothesis import given
from hypothesis import strategies as st

from couponpress_worker.sandbox.platform_key import BITS, PlatformKey
from couponpress_worker.wechatpay.signing import signature_holds

KEY = PlatformKey.generate()


@given(st.binary(max_size=300))
def test_an_ordinary_library_accepts_the_signature(message):
    signature = KEY.sign(message)
    assert signature_holds(KEY.public_key, message, signature)
    assert not signature_holds(KEY.public_key, message + b".", signature)
    assert len(base64.b64decode(signature)) == BITS // 8


def test_it_is_deterministic_and_its_primes_make_it_again():
    assert PlatformKey(KEY.primes).sign(b"same") == KEY.sign(b"same") == KEY.sign(b"same")


def test_the_public_key_is_an_ordinary_2048_bit_key():
    pem = KEY.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    numbers = load_pem_public_key(pem).public_numbers()
    assert (numbers.n.bit_length(), numbers.e) == (BITS, 65537)


def test_a_padded_digest_that_a_prime_divides_is_signed_rightly_too():
    def divided(number):
        signature = int.from_bytes(base64.b64decode(KEY.sign(b"%d" % number)))
        return any(signature % prime == 0 for prime in KEY.primes)

    # About one message in twenty is such a one.
    found = [number for number in range(400) if divided(number)]
    assert found
    assert all(signature_holds(KEY.public_key, b"%d" % number, KEY.sign(b"%d" % number)) for number in found)
