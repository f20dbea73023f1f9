/*
 * order_by.c - an order by any type of challenge, for test_library.py: what is to be
 * published is printed, a line each, and whoever reads it says on standard input when
 * that is done. Transport and all else are those of the example program.
 *
 *	order_by DIRECTORY-URL TYPE NAME FOLDER
 */
#define main example_main
#include "get_certificate.c"
#undef main

static struct acme_key *account_key;

static void
print_record(int r, char *name, int r2, char *value)
{
	check(r == 0 && r2 == 0, "record", "cannot be made");
	printf("txt\t%s\t%s\n", name, value);
	free(name);
	free(value);
}

static void
print_persistent(const struct acme_session *s, const struct acme_challenge *c)
{
	const char *prefix = acme_session_account_hash_prefix(s);
	const char *url = acme_session_account_url(s);
	struct acme_persist persist = { .issuer = c->issuers[0],
		.account_uri = url,
		.wildcard = true,
		.until = time(NULL) + 3600 };
	char *hashed = NULL, *name = NULL, *value = NULL;
	int r, r2;

	if (prefix != NULL) {
		check(acme_dns_persist01_account(
			  prefix, c->identifier, account_key, url, &hashed) == 0,
		    "account", "cannot be hashed");
		persist.account_uri = hashed;
	}
	r = acme_dns_persist01_name(c->identifier, &name);
	r2 = acme_dns_persist01_value(&persist, &value);
	print_record(r, name, r2, value);
	free(hashed);
}

/* Key and certificate of a server for the handshake. */
static void
print_server(const struct acme_challenge *c, const char *folder)
{
	char *sni = NULL, *pem = NULL, *key_pem = NULL;
	struct acme_key *key = NULL;
	char path[1024];

	check(acme_key_generate(ACME_KEY_ECDSA_P256, &key) == 0 &&
		acme_key_to_pem(key, &key_pem) == 0 &&
		acme_tls_alpn01_sni(c->identifier, &sni) == 0 &&
		acme_tls_alpn01_certificate(key, c->identifier, c->key_authorization,
		    time(NULL) - 60, 3600, &pem) == 0,
	    "certificate", "cannot be made");
	snprintf(path, sizeof(path), "%s/alpn.key", folder);
	write_file(path, key_pem);
	snprintf(path, sizeof(path), "%s/alpn.pem", folder);
	write_file(path, pem);
	printf("tls\t%s\t%s\n", sni, ACME_TLS_ALPN01_PROTOCOL);
	acme_wipe_free(key_pem, strlen(key_pem));
	acme_key_free(key);
	free(pem);
	free(sni);
}

static void
print(const struct acme_session *s, const struct acme_challenge *c, const char *folder)
{
	char *name = NULL, *value = NULL;
	int r = -1, r2 = -1;

	if (strcmp(c->type, "dns-persist-01") == 0) {
		print_persistent(s, c);
		return;
	}
	if (strcmp(c->type, "tls-alpn-01") == 0) {
		print_server(c, folder);
		return;
	}
	if (strcmp(c->type, "dns-01") == 0)
		r = acme_dns01_name(c->identifier, &name);
	else if (strcmp(c->type, "dns-account-01") == 0)
		r = acme_dns_account01_name(
		    c->identifier, acme_session_account_url(s), &name);
	r2 = acme_dns01_value(c->key_authorization, &value);
	print_record(r, name, r2, value);
}

static void
publish_and_wait(
    const struct acme_session *s, const struct acme_flow *f, const char *folder)
{
	const struct acme_challenge *challenges;
	size_t count = acme_flow_challenges(f, &challenges);
	char line[16];

	for (size_t i = 0; i < count; i++)
		print(s, &challenges[i], folder);
	printf("ready\n");
	fflush(stdout);
	check(fgets(line, sizeof(line), stdin) != NULL, "standard input", "ended");
}

static void
drive(struct acme_session *s, struct acme_flow *f, const char *folder)
{
	struct acme_request request;
	struct acme_exchange *x;
	enum acme_next next;
	int64_t now = 0; /* waits are half as long here */

	while ((next = acme_flow_next(f, now, &request)) != ACME_FINISHED) {
		if (next == ACME_WAIT) {
			usleep(50000); /* half of what the clock is put on: the CA is
					  asked politely */
			now += 100;
			continue;
		}
		if (request.action == ACME_ACTION_CHALLENGE)
			publish_and_wait(s, f, folder);
		acme_flow_reply(f, now, acme_exchange_answer(x = ask(s, &request)));
		acme_exchange_free(x);
	}
}

int
main(int argc, char *argv[])
{
	struct acme_account account = { .accept_terms = true };
	struct acme_identifier name;
	struct acme_plan plan = { .identifiers = &name, .identifier_count = 1 };
	struct acme_session *s = NULL;
	struct acme_request request;
	struct acme_exchange *x;
	struct acme_key *key = NULL;
	struct acme_flow *f = NULL;

	check(argc == 5, "usage", "DIRECTORY-URL TYPE NAME FOLDER");
	check(acme_identifier_parse(argv[3], &name, NULL) == 0, argv[3], "is no name");
	check((curl = curl_easy_init()) != NULL, "libcurl", "cannot start");
	check(acme_key_generate(ACME_KEY_ECDSA_P256, &account_key) == 0 &&
		acme_key_generate(ACME_KEY_ECDSA_P256, &key) == 0,
	    "key", "cannot be made");
	plan.account_key = account_key;
	plan.key = key;
	plan.challenges = argv[2];
	check(acme_session_new(argv[1], account_key, &account, &s) == 0 &&
		acme_flow_new(&plan, &f) == 0,
	    argv[1], "is no https:// URL");
	while (acme_session_next(s, &request) == ACME_SEND) {
		acme_session_reply(s, acme_exchange_answer(x = ask(s, &request)));
		acme_exchange_free(x);
	}
	check(acme_session_ready(s), "account", "is not ready");
	drive(s, f, argv[4]);
	if (acme_flow_chain(f) == NULL)
		check(0, "order", acme_flow_result(f)->detail);
	printf("issued\n");
	acme_flow_free(f);
	acme_session_free(s);
	acme_key_free(key);
	acme_key_free(account_key);
	curl_easy_cleanup(curl);
	return EXIT_SUCCESS;
}
