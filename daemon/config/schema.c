/*
 * schema.c - the rows of schema.h: everything that the configuration knows.
 *
 * Order matters twice: certificates are kept as text in the order of these rows, and
 * [deploy] needs its type first.
 */
#include "config/schema.h"

#include <string.h>

#include "config/config.h"
#include "config/values.h"
#include "platform/paths.h"

#define CONFIG(field)      offsetof(struct config, field)
#define CA(field)          offsetof(struct ca_config, field)
#define TARGET(field)      offsetof(struct target_config, field)
#define CERTIFICATE(field) offsetof(struct certificate_spec, field)

#define HAPROXY   TYPE_BIT(TARGET_HAPROXY)
#define NGINX     TYPE_BIT(TARGET_NGINX)
#define SIGNAL    TYPE_BIT(TARGET_SIGNAL)
#define EXEC      TYPE_BIT(TARGET_EXEC)
#define SYSTEMD   TYPE_BIT(TARGET_SYSTEMD)
#define DIRECTORY TYPE_BIT(TARGET_DIRECTORY)

/* clang-format off */
static const struct schema_key renewd_keys[] = {
	{ "state_dir", &value_path, CONFIG(renewd.state_dir), PATHS_STATE_DIR,
	  .help = "directory of the database: accounts, keys, certificates, history" },
	{ "bundle_dir", &value_path, CONFIG(renewd.bundle_dir), PATHS_BUNDLE_DIR,
	  .help = "directory that web servers read: one entry for each certificate" },
	{ "bundle_mode", &value_mode, CONFIG(renewd.bundle_mode), "0640", .max = 0640,
	  .help = "mode of the files in bundle_dir, 0640 at most" },
	{ "bundle_group", &value_group, CONFIG(renewd.bundle_group),
	  .help = "group of the files in bundle_dir; the daemon's user must be in it" },
	{ "log_level", &value_log_level, CONFIG(renewd.log_level), "info",
	  .help = "what is logged: error, warning, notice, info or debug" },
	{ "max_orders", &value_number, CONFIG(renewd.max_orders), "16", .min = 1, .max = 1000,
	  .help = "orders in flight at one time, over all CAs" },
};

static const struct schema_key control_keys[] = {
	{ "socket", &value_socket, CONFIG(control.socket), PATHS_CONTROL_SOCKET,
	  .help = "UNIX socket on which renewctl and others are answered" },
	{ "group", &value_group, CONFIG(control.group), "renewd-admin",
	  .help = "group whose members may do everything" },
	{ "readers", &value_group, CONFIG(control.readers),
	  .help = "group whose members may look, but not change or see a key" },
};

static const struct schema_key http01_keys[] = {
	{ "listen", &value_listen, CONFIG(http01.listen), "[::]:80 0.0.0.0:80", .max = 16,
	  .help = "addresses on which http-01 challenges are answered" },
	{ "redirect", &value_redirect, CONFIG(http01.redirect), "none",
	  .help = "other requests: https sends them there, none says 404" },
};

static const struct schema_key ca_keys[] = {
	{ "directory", &value_directory, CA(directory),
	  .help = "URL of the CA's directory; built in for well-known names" },
	{ "contact", &value_contact, CA(contact), .max = 10,
	  .help = "mailto: addresses that the CA may write to" },
	{ "accept_terms", &value_bool, CA(accept_terms), "no",
	  .help = "yes: you have read and accept the CA's terms of service" },
	{ "account_key", &value_account_key, CA(account_key), "ecdsa-p256",
	  .help = "type of the account's key, or file:PATH to bring one's own" },
	{ "trust_file", &value_path, CA(trust_file),
	  .help = "PEM roots for the CA's own HTTPS, instead of the system's" },
	{ "proxy", &value_proxy, CA(proxy),
	  .help = "http://, https:// or socks5:// proxy on the way to the CA" },
	{ "eab_kid", &value_word, CA(eab_kid),
	  .help = "external account binding: the key's name" },
	{ "eab_hmac_key_file", &value_secret, CA(eab_hmac_key_file),
	  .help = "external account binding: file of the key, or credential:NAME" },
	{ "eab_alg", &value_hmac, CA(eab_alg), "HS256",
	  .help = "external account binding: how it is signed, HS256, HS384 or HS512" },
	{ "max_requests", &value_number, CA(max_requests), "18", .max = 1000,
	  .help = "requests in a second, at most; 0: no limit" },
	{ "order_burst", &value_number, CA(order_burst), "10", .min = 1, .max = 10000,
	  .help = "new orders at once, after a rest" },
	{ "order_interval", &value_interval, CA(order_interval), "36s", .max = 86400,
	  .help = "after these one new order in this time; 0s: no limit" },
	{ "max_orders", &value_number, CA(max_orders), "0", .max = 1000,
	  .help = "orders in flight at this CA; 0: as many as in [renewd]" },
};

static const struct schema_key certificate_keys[] = {
	{ "domains", &value_domains, CERTIFICATE(identifiers), .max = 100,
	  .help = "DNS names and IP addresses; default: the section's name" },
	{ "ca", &value_cas, CERTIFICATE(cas), .max = 16,
	  .help = "[ca] sections in order of preference; default: the only one" },
	{ "keys", &value_keys, CERTIFICATE(keys), "ecdsa-p256", .max = 2,
	  .help = "types of keys, one certificate for each: one ECDSA, one RSA at most" },
	{ "reuse_key", &value_bool, CERTIFICATE(reuse_key), "no",
	  .help = "keep the key at renewals" },
	{ "key_file", &value_paths, CERTIFICATE(key_files), .max = 2,
	  .help = "PEM files of keys of one's own, in the order of keys" },
	{ "csr_file", &value_paths, CERTIFICATE(csr_files), .max = 2,
	  .help = "requests made elsewhere, PEM or DER, in the order of keys" },
	{ "challenge", &value_challenges, CERTIFICATE(challenges), "http-01", .max = 8,
	  .help = "types of challenges in order of preference" },
	{ "profile", &value_profile, CERTIFICATE(profile),
	  .help = "profile asked for where the CA has it; NAME! insists" },
	{ "preferred_chain", &value_title, CERTIFICATE(preferred_chain),
	  .help = "common name of an issuer that the chain should have" },
	{ "lifetime", &value_duration, CERTIFICATE(lifetime),
	  .min = 60, .max = 10 * 366 * 86400,
	  .help = "how long it should live, where the CA lets one ask" },
	{ "common_name", &value_bool, CERTIFICATE(common_name), "no",
	  .help = "ask for the first DNS name as common name, too" },
	{ "drop_failed_names", &value_bool, CERTIFICATE(drop_failed_names), "no",
	  .help = "yes: without the names that the CA refuses, rather than not at all" },
	{ "must_staple", &value_bool, CERTIFICATE(must_staple), "no",
	  .help = "ask for the OCSP must-staple extension" },
	{ "renew_before", &value_renew_before, CERTIFICATE(renew_before), "auto",
	  .min = 1, .max = 10 * 366 * 86400,
	  .help = "auto, or a duration, or a share of the life, 1/2 at most" },
	{ "placeholder", &value_bool, CERTIFICATE(placeholder), "yes",
	  .help = "a self-signed certificate until the first one is there" },
	{ "deploy", &value_targets, CERTIFICATE(deploy), .max = 32,
	  .help = "[deploy] sections, in order" },
	{ "enabled", &value_bool, CERTIFICATE(enabled), "yes",
	  .help = "no: kept, but not renewed" },
	{ "bundle_mode", &value_mode, CERTIFICATE(bundle_mode), .max = 0640,
	  .help = "as in [renewd], which is the default" },
	{ "bundle_group", &value_group, CERTIFICATE(bundle_group),
	  .help = "as in [renewd], which is the default" },
};

static const struct schema_key deploy_keys[] = {
	{ "type", &value_target_type, TARGET(type),
	  .help = "what it is: haproxy, nginx, systemd, signal, exec or directory" },
	{ "socket", &value_api_sockets, TARGET(sockets), .max = 16, .types = HAPROXY,
	  .help = "HAProxy's runtime API: UNIX sockets, or ports of loopback addresses" },
	{ "master_socket", &value_socket, TARGET(master_socket), .types = HAPROXY,
	  .help = "HAProxy's master CLI, a UNIX socket" },
	{ "unit", &value_unit, TARGET(unit), .types = HAPROXY | NGINX | SYSTEMD,
	  .needed = SYSTEMD, .help = "the server's systemd unit, such as nginx.service" },
	{ "action", &value_action, TARGET(action), "reload", .types = SYSTEMD,
	  .help = "what systemd does: reload, restart, reload-or-restart or start" },
	{ "pidfile", &value_path, TARGET(pidfile), .types = HAPROXY | NGINX | SIGNAL,
	  .needed = SIGNAL, .help = "file with the process id of the server" },
	{ "process", &value_program, TARGET(process), .types = SIGNAL, .needed = SIGNAL,
	  .help = "executable that the process must be: a name or a path" },
	{ "signal", &value_signal, TARGET(signal), "HUP", .min = 1, .max = 64,
	  .types = SIGNAL, .help = "signal that makes the server read its files again" },
	{ "test_command", &value_command, TARGET(test_command), .max = 64, .types = NGINX,
	  .help = "program and arguments that check the server's configuration before" },
	{ "command", &value_command, TARGET(command), .max = 64, .types = EXEC,
	  .needed = EXEC, .help = "program and arguments; no shell" },
	{ "timeout", &value_duration, TARGET(timeout), "2m", .min = 1, .max = 86400,
	  .types = EXEC, .help = "after which the program is ended" },
	{ "bundle_path", &value_bundle_path, TARGET(bundle_path),
	  .types = HAPROXY | DIRECTORY,
	  .help = "where a bundle of all is to be, with {name} for the certificate's" },
	{ "cert_path", &value_copy_path, TARGET(copies[COPY_CERT]), .types = DIRECTORY,
	  .help = "where the certificate alone is to be, as PEM" },
	{ "chain_path", &value_copy_path, TARGET(copies[COPY_CHAIN]), .types = DIRECTORY,
	  .help = "where its chain is to be, as PEM" },
	{ "fullchain_path", &value_copy_path, TARGET(copies[COPY_FULLCHAIN]),
	  .types = DIRECTORY, .help = "where both are to be, as PEM" },
	{ "key_path", &value_copy_path, TARGET(copies[COPY_KEY]), .types = DIRECTORY,
	  .help = "where the private key is to be, PKCS#8 as PEM" },
	{ "pkcs12_path", &value_copy_path, TARGET(copies[COPY_PKCS12]), .types = DIRECTORY,
	  .help = "where all is to be as PKCS#12, for Java and Windows" },
	{ "pkcs12_password_file", &value_secret, TARGET(pkcs12_password_file),
	  .types = DIRECTORY, .help = "file of its password, or credential:NAME" },
	{ "cert_der_path", &value_copy_path, TARGET(copies[COPY_CERT_DER]),
	  .types = DIRECTORY, .help = "where the certificate is to be as DER" },
	{ "key_der_path", &value_copy_path, TARGET(copies[COPY_KEY_DER]),
	  .types = DIRECTORY, .help = "where the private key is to be, PKCS#8 as DER" },
	{ "owner", &value_user, TARGET(owner), .types = DIRECTORY,
	  .help = "user that the files are to belong to; for a renewd that is root" },
	{ "group", &value_group, TARGET(group), .types = DIRECTORY,
	  .help = "group of the files; the daemon's user must be in it" },
	{ "mode", &value_mode, TARGET(mode), "0640", .max = 0640, .types = DIRECTORY,
	  .help = "mode of the files, 0640 at most" },
	{ "verify", &value_verify, TARGET(verify), .max = 16,
	  .help = "numeric addresses with a port, where its certificates have to be served;"
	  " smtp://, imap://, pop3://, ldap:// or postgres:// before one: with STARTTLS" },
	{ "verify_names", &value_verify_names, TARGET(verify_names), "first",
	  .help = "which names are asked for there: first or all" },
	{ "verify_interval", &value_duration, TARGET(verify_interval), "6h", .min = 1,
	  .max = 30 * 86400, .help = "how often to look there again" },
	{ "roll_back", &value_bool, TARGET(roll_back), "no",
	  .help = "yes: the bundle of before again where the new one broke the server" },
	{ "deploy_window", &value_windows, TARGET(windows), .max = 8 * WINDOWS_MAX,
	  .help = "when it may be told, in local time, such as Mon-Fri 02:00-05:00" },
	{ "require", &value_bool, TARGET(require), "no",
	  .help = "yes: where it fails, the targets after it wait, and so does --wait" },
};

#define KEYS(rows) .keys = (rows), .count = ELEMENTS(rows)

const struct schema_section schema_sections[SECTION_KINDS] = {
	[SECTION_RENEWD] = { "renewd", KEYS(renewd_keys), .help = "the daemon itself" },
	[SECTION_CONTROL] = { "control", KEYS(control_keys), .help = "the control socket" },
	[SECTION_HTTP01] = { "http-01", KEYS(http01_keys),
	  .help = "the listener that answers http-01 challenges" },
	[SECTION_CA] = { "ca", true, KEYS(ca_keys), .help = "a certificate authority" },
	[SECTION_DEFAULTS] = { "defaults", KEYS(certificate_keys),
	  .help = "keys of [certificate] for those that don't say otherwise" },
	[SECTION_CERTIFICATE] = { "certificate", true, KEYS(certificate_keys),
	  .help = "a certificate to be had" },
	[SECTION_DEPLOY] = { "deploy", true, KEYS(deploy_keys),
	  .help = "a server that is told of new certificates" },
};
/* clang-format on */

_Static_assert(ELEMENTS(certificate_keys) <= SCHEMA_KEYS_MAX, "slots");
_Static_assert(ELEMENTS(deploy_keys) <= SCHEMA_KEYS_MAX, "slots");

const struct schema_section *
schema_section(const char *kind)
{
	for (size_t i = 0; i < SECTION_KINDS; i++)
		if (strcmp(schema_sections[i].kind, kind) == 0)
			return &schema_sections[i];
	return NULL;
}

const struct schema_key *
schema_key(const struct schema_section *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++)
		if (strcmp(s->keys[i].name, name) == 0)
			return &s->keys[i];
	return NULL;
}
