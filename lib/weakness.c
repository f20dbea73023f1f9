/*
 * weakness.c - keys that are known to be no good, judged by their public half.
 *
 * For keys that somebody else has made: renewd asks before it sends one to a CA. What
 * type and size a key must have is key.c's; what was leaked is the inventory's.
 */
#include "key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

DEFINE_CLEANUP(BIGNUM, BN_free)

/* ROCA (CVE-2017-15361): the primes of Infineon's library are powers of 65537 modulo
 * each small prime, so the modulus is one, too. For these the powers are but a part of
 * all residues; that a good modulus is one for all of them happens once in 2^27. */
static const unsigned roca_primes[] = { 11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103,
	107, 109, 127, 151, 157 };

static bool
is_power(unsigned residue, unsigned prime)
{
	unsigned power = 1;

	for (unsigned i = 0; i < prime; i++) {
		if (power == residue)
			return true;
		power = power * (65537 % prime) % prime;
	}
	return false;
}

static bool
is_roca(const BIGNUM *modulus)
{
	for (size_t i = 0; i < ELEMENTS(roca_primes); i++)
		if (!is_power(
			(unsigned)BN_mod_word(modulus, roca_primes[i]), roca_primes[i]))
			return false;
	return true;
}

static const char *
judge_rsa(EVP_PKEY *evp)
{
	_cleanup_(BN_freep) BIGNUM *n = NULL;
	_cleanup_(BN_freep) BIGNUM *e = NULL;

	if (EVP_PKEY_get_bn_param(evp, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
	    EVP_PKEY_get_bn_param(evp, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
		return "its numbers can't be read";
	if (!BN_is_odd(e) || BN_is_one(e))
		return "its public exponent is even or 1";
	if (!BN_is_odd(n))
		return "its modulus is even";
	if (is_roca(n))
		return "it was made by a broken generator (ROCA, CVE-2017-15361)";
	return NULL;
}

const char *
acme_key_weakness(const struct acme_key *key)
{
	const char *why = NULL;

	if (acme_key_type_is_rsa(acme_key_get_type(key)))
		why = judge_rsa(acme_key_evp(key));
	ERR_clear_error();
	return why;
}
