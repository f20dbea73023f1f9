/*
 * first_rows.h - what version 0.1.0 has written into its database: a pair that is
 * renewed, one order in flight. For the tests of what later versions make of it.
 */
#ifndef FIRST_ROWS_H
#define FIRST_ROWS_H

static const char first_rows[] =
    "INSERT INTO accounts VALUES (3, 'le', 'https://ca.example/dir', x'0102', 'THUMB',"
    " 'https://ca.example/acct/1', 'mailto:ops@example.net', 'https://terms/', 11);"
    "INSERT INTO certificates (id, name, origin, spec, created_at, next_at, renew_at,"
    " renew_reason, failures, next_attempt, last_error, last_success, bundled)"
    " VALUES (5, 'a.example', 2, 'keys = ecdsa-p256 rsa-2048\n', 12, 13, 14, 2, 1, 15,"
    " '{}', 16, '8,9 dual 0640 ');"
    "INSERT INTO issued VALUES"
    " (7, 5, 1, 0, 'le', 3, 'a.example', NULL, '07', 'f7', 'i', 't', 1, 4000000000, 1,"
    "  0, x'aa', 'PEM'),"
    " (8, 5, 1, 1, 'le', 3, 'a.example', 'short', '08', 'f8', 'i', 't', 2, 4000000000,"
    "  2, 0, x'aa', 'PEM'),"
    " (9, 5, 3, 1, 'le', 3, 'a.example', NULL, '09', 'f9', 'i', 't', 2, 4000000000, 2,"
    "  17, x'bb', 'PEM');"
    "INSERT INTO orders VALUES (2, 5, 1, 'le', 3, 'a.example', 'short',"
    " 'https://ca.example/order/1', x'cc', 'tok tok.THUMB\n', 2, 18);"
    "INSERT INTO deployments VALUES (5, 'edge', 3, 19, 'x', '8,9 dual 0640 ', 0, 0);"
    "INSERT INTO history (at, kind, certificate) VALUES (20, 'issued', 'A.example');";

#endif
