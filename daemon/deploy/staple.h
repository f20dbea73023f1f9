/*
 * staple.h - is the OCSP answer that a server staples to its certificate a good one?
 *
 * Used by probe.c.
 */
#ifndef STAPLE_H
#define STAPLE_H

#include <openssl/x509.h>

/* NULL: it is. Otherwise what is wrong, constant. data NULL: there is none. chain as
 * the server sent it, the leaf first. RFC 6960, RFC 7633. */
const char *staple_lack(const unsigned char *data, long len, STACK_OF(X509) * chain);

#endif
