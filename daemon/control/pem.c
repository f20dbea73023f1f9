/*
 * pem.c - a certificate with its private key, for servers that fetch it.
 *
 * Handler of NAME/bundle. The one answer that holds a secret: for administrators only,
 * noted in the log, and wiped from memory when it is sent.
 */
#include <errno.h>
#include <string.h>

#include <event2/buffer.h>

#include "bundle/bundle.h"
#include "config/config.h"
#include "control/named.h"
#include "control/problem.h"
#include "control/routes.h"
#include "json.h"
#include "platform/log.h"

DEFINE_CLEANUP(struct acme_key, acme_key_free)

static bool
is_kind(const struct issued *row, const char *kind)
{
	const char *own = acme_key_type_is_rsa(row->key_type) ? "rsa" : "ecdsa";

	return kind == NULL || strcmp(kind, own) == 0 ||
	    strcmp(kind, acme_key_type_name(row->key_type)) == 0;
}

/* The first of `keys` that is there, or the one that is asked for. */
static const struct issued *
choose(const struct call *call, const struct certificate *c, const struct issued *rows,
    size_t count, const char *kind)
{
	_cleanup_(certificate_spec_freep) struct certificate_spec *spec = NULL;
	struct config_errors errors = { 0 };

	(void)certificate_spec_parse(
	    call->service->config, c->name, c->spec, &spec, &errors);
	config_errors_clear(&errors);
	for (size_t k = 0; spec != NULL && k < spec->key_count; k++)
		for (size_t i = 0; i < count; i++)
			if (acme_key_type_is_rsa(rows[i].key_type) ==
				acme_key_type_is_rsa(spec->keys[k]) &&
			    is_kind(&rows[i], kind))
				return &rows[i];
	for (size_t i = 0; i < count; i++)
		if (is_kind(&rows[i], kind))
			return &rows[i];
	return NULL;
}

static int
compose(const struct issued *row, char **ret, size_t *ret_len)
{
	_cleanup_(acme_key_freep) struct acme_key *key = NULL;
	struct bundle_pair pair = { .key_type = row->key_type,
		.chain_pem = row->chain };
	char *pem = NULL;
	int r;

	r = acme_key_from_der(row->key.data, row->key.len, &key);
	if (r < 0)
		return r;
	r = acme_key_to_pem(key, &pem);
	if (r < 0 || pem == NULL)
		return r < 0 ? r : -ENOMEM;
	pair.key_pem = pem;
	r = bundle_haproxy_pem(&pair, ret, ret_len);
	acme_wipe_free(pem, strlen(pem));
	return r;
}

static void
sent_cb(const void *data, size_t len, void *extra)
{
	(void)data;
	acme_wipe_free(extra, len);
}

/* Takes the text over. */
static void
send_pem(struct call *call, char *text, size_t len)
{
	struct evbuffer *body = evbuffer_new();

	if (body == NULL ||
	    evbuffer_add_reference(body, text, len, sent_cb, text) < 0) {
		acme_wipe_free(text, len);
		named_refuse(call, 500, "no memory");
	} else {
		evhttp_add_header(evhttp_request_get_output_headers(call->http),
		    "Content-Type", "application/x-pem-file");
		evhttp_send_reply(call->http, 200, NULL, body);
	}
	if (body != NULL)
		evbuffer_free(body);
}

static void
answer(struct call *call, const struct certificate *c, const struct issued *row)
{
	char *text = NULL;
	size_t len = 0;

	if (row == NULL) {
		named_refuse(call, 404, "nothing of this kind has been issued yet");
		return;
	}
	if (row->key.len == 0) {
		named_refuse(call, 404,
		    "its private key is not here: it is where csr_file is from");
		return;
	}
	if (compose(row, &text, &len) < 0) {
		named_refuse(call, 500, "the key cannot be read");
		return;
	}
	log_line(LOG_NOTICE, (&(struct log_fields){ .certificate = c->name }),
	    "certificate and key handed out at the control socket to user %u",
	    call->uid);
	send_pem(call, text, len);
}

static bool
is_format(const char *text)
{
	return text == NULL || strcmp(text, "haproxy") == 0;
}

static bool
is_key(const char *text)
{
	return text == NULL || strcmp(text, "ecdsa") == 0 || strcmp(text, "rsa") == 0;
}

void
pem_show(struct call *call)
{
	_cleanup_(certificate_freep) struct certificate *c = NULL;
	const char *kind = call_parameter(call, "key");
	struct issued *rows = NULL;
	size_t count = 0;

	if (call_unknown_parameter(call, "key format") || named_find(call, &c) < 0)
		return;
	if (!is_key(kind)) {
		named_refuse_field(call, "key", "must be ecdsa or rsa");
	} else if (!is_format(call_parameter(call, "format"))) {
		named_refuse_field(call, "format", "must be haproxy");
	} else if (issued_current(
		       call->service->means.store, c->id, true, &rows, &count) < 0) {
		named_refuse(call, 500, "the inventory cannot be read");
	} else {
		answer(call, c, choose(call, c, rows, count, kind));
		issued_free_all(rows, count);
	}
}
