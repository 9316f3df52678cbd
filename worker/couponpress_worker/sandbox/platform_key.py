"""The platform's signing key in the sandbox: a valid RSA-2048 key that is cheap to sign with, and no secret.

Its modulus is the product of about 177 small primes (RFC 8017 section 3 allows any number of primes), so anybody can
factor it.

The sandbox signs every answer and every callback, and shares its cores with the fleet that it tests. With this many
primes a signature is a table look-up per prime and one Chinese-remainder sum, which takes about an eighth of the time
of a key of two primes. Verifying is the ordinary operation on an ordinary 2048-bit public key.
"""

from __future__ import annotations

import base64
import hashlib
import random
from array import array
from collections.abc import Sequence
from functools import cache
from math import prod
from operator import mul
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

BITS: Final = 2048
_EXPONENT: Final = 65537
#: Twelve-bit primes: all tables together take 1 MB. None is so small that a checker of public keys would find it.
_LOWEST, _HIGHEST = 2**11, 2**12
#: What PKCS #1 v1.5 puts before a SHA-256 digest (RFC 8017 section 9.2, note 1).
_DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
_PADDED_ZERO_DIGEST = int.from_bytes(
    b"\x00\x01" + b"\xff" * (BITS // 8 - 3 - len(_DIGEST_INFO) - 32) + b"\x00" + _DIGEST_INFO + bytes(32)
)


#: Primes are summed up in groups, so that most products are of small numbers.
_GROUP = 16


class PlatformKey:
    """Signs with RSA PKCS #1 v1.5 and SHA-256. The first one of a process takes about 0.2 s to make."""

    def __init__(self, primes: Sequence[int]) -> None:
        self.primes = tuple(primes)
        self._modulus = prod(primes)
        groups = (primes[first : first + _GROUP] for first in range(0, len(primes), _GROUP))
        self._groups = [_Group(group, self._modulus) for group in groups]

    @classmethod
    def generate(cls) -> Self:
        """Return a key of random primes."""
        candidates = primes_of_keys()
        chance = random.SystemRandom()
        while True:
            chance.shuffle(candidates)
            product, count = 1, 0
            while product.bit_length() < BITS:
                product *= candidates[count]
                count += 1
            if product.bit_length() == BITS:
                return cls(candidates[:count])

    @property
    def public_key(self) -> RSAPublicKey:
        """The key that verifies."""
        return RSAPublicNumbers(_EXPONENT, self._modulus).public_key()

    def sign(self, message: bytes) -> str:
        """Return the base64 signature of `message`. Deterministic, as PKCS #1 v1.5 is."""
        digest = int.from_bytes(hashlib.sha256(message).digest())
        signature = sum(
            sum(map(mul, [table[digest % prime] for table, prime in group.tables], group.inner_weights)) * group.weight
            for group in self._groups
        )
        signature %= self._modulus
        return base64.b64encode(signature.to_bytes(BITS // 8)).decode()


class _Group:
    """Some primes of the modulus: their tables, and the weights of the remainder sums inside and outside of it."""

    def __init__(self, primes: Sequence[int], modulus: int) -> None:
        product = prod(primes)
        self.tables = [(roots(prime), prime) for prime in primes]
        self.inner_weights = [_remainder_weight(product, prime) for prime in primes]
        self.weight = _remainder_weight(modulus, product)


def primes_of_keys() -> list[int]:
    """Return the 255 primes that keys are made of."""
    return [prime for prime, factor in enumerate(_smallest_factors()) if factor == prime >= _LOWEST]


def _remainder_weight(modulus: int, divisor: int) -> int:
    """Return the number below `modulus` that is 1 modulo `divisor` and 0 modulo the rest."""
    rest = modulus // divisor
    return rest * pow(rest, -1, divisor)


@cache
def _smallest_factors() -> Sequence[int]:
    """Return for every number from 0 to the largest prime its smallest prime factor; 0 and 1 get 0."""
    factors = [0, 0, *range(2, _HIGHEST)]
    for number in range(2, int(_HIGHEST**0.5) + 1):
        if factors[number] == number:
            for multiple in range(number * number, _HIGHEST, number):
                factors[multiple] = min(factors[multiple], number)
    return factors


@cache
def roots(prime: int) -> array[int]:
    """Return the signature of every digest modulo `prime`, by the digest's own residue.

    The power map is multiplicative, so only primes below `prime` are raised; the rest are products. The constant
    padding before the digest is a constant shift of the table. The keys of a process share the tables: each has
    most of the primes that there are.
    """
    factor_of = _smallest_factors()
    exponent = pow(_EXPONENT, -1, prime - 1)
    powers = [0, 1]
    for residue in range(2, prime):
        factor = factor_of[residue]
        powers.append(
            pow(residue, exponent, prime) if factor == residue else powers[factor] * powers[residue // factor] % prime
        )
    shift = _PADDED_ZERO_DIGEST % prime
    return array("H", powers[shift:] + powers[:shift])
