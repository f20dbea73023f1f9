/*
 * ocsp_chain.h - the certificate that the answers in corpus/ocsp are about, with its
 * issuer, whose key is rfc_keys.h's ec_example. Both are good for a hundred years.
 */
#ifndef OCSP_CHAIN_H
#define OCSP_CHAIN_H

static const char ocsp_chain[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBnTCCAUKgAwIBAgICEjQwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCQ0EwIBcN\n"
    "MjYxMTI3MDIwMjQ3WhgPMjEyNjExMDMwMjAyNDdaMA8xDTALBgNVBAMMBGxlYWYw\n"
    "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASxyF2oexNoNPQ4qOSFoxJaXh57+jdw\n"
    "X5OO548O1KE/th8RtfeqAqWaZHdW5R1CU4eaFhVp7+EhaFggweCJ0uK3o4GNMIGK\n"
    "MC0GCCsGAQUFBwEBBCEwHzAdBggrBgEFBQcwAYYRaHR0cDovL29jc3AudGVzdC8w\n"
    "GQYDVR0RBBIwEIIOYS5leGFtcGxlLnRlc3QwHQYDVR0OBBYEFGXfobDJ7EG0Q/oq\n"
    "tFMZuHJRNCKSMB8GA1UdIwQYMBaAFM6NFrHJM463/jl5ma5Fvu4/tYaGMAoGCCqG\n"
    "SM49BAMCA0kAMEYCIQDsYbvQ2yekMHLLMtRkdw2EgkyLmjwJOy/E+RMvU5KvlgIh\n"
    "AKmMyXitSvNHqBlLccvhIfzjfSF0RgM3yhbD3SxwjIqL\n"
    "-----END CERTIFICATE-----\n"
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBcDCCARegAwIBAgIUarL6Xm+QVbilbLxYMnW1Hg1+GcMwCgYIKoZIzj0EAwIw\n"
    "DTELMAkGA1UEAwwCQ0EwIBcNMjYxMTI3MDIwMjQ2WhgPMjEyNjExMDMwMjAyNDZa\n"
    "MA0xCzAJBgNVBAMMAkNBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2\n"
    "xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkL\n"
    "JK2KRiMohYjlraNTMFEwHQYDVR0OBBYEFM6NFrHJM463/jl5ma5Fvu4/tYaGMB8G\n"
    "A1UdIwQYMBaAFM6NFrHJM463/jl5ma5Fvu4/tYaGMA8GA1UdEwEB/wQFMAMBAf8w\n"
    "CgYIKoZIzj0EAwIDRwAwRAIgNVadzakWkczQRoJlWGhZpJIBJ2EygYNfgb4OJgnY\n"
    "ffsCIGK4wNnsrxWguw/vmtBBVZNEf+SfvH2N+n+5buoXwXQb\n"
    "-----END CERTIFICATE-----\n";

#endif
