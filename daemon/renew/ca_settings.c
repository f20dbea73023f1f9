/*
 * ca_settings.c - what a [ca] section says, copied and compared.
 *
 * Used by ca.c.
 */
#include "renew/ca_settings.h"

#include <errno.h>
#include <string.h>

#include "buffer.h"
#include "config/config.h"

static bool
same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

static char *
join(const struct words *words)
{
	struct buffer text = { 0 };
	char *joined = NULL;

	for (size_t i = 0; i < words->n; i++)
		buffer_printf(&text, "%s%s", i > 0 ? " " : "", words->v[i]);
	return buffer_steal(&text, &joined, NULL) == 0 ? joined : NULL;
}

static int
copy(const char *from, char **to)
{
	if (from == NULL || *from == '\0')
		return 0;
	*to = strdup(from);
	return *to != NULL ? 0 : -ENOMEM;
}

int
ca_settings_copy(struct ca_settings *ret, const struct ca_config *config)
{
	const struct {
		const char *from;
		char **to;
	} texts[] = {
		{ config->name, &ret->name },
		{ config->directory, &ret->directory },
		{ config->account_key_file, &ret->key_file },
		{ config->trust_file, &ret->trust_file },
		{ config->proxy, &ret->proxy },
		{ config->eab_kid, &ret->eab_kid },
		{ config->eab_hmac_key_file, &ret->eab_key_file },
	};

	*ret = (struct ca_settings){ .accept_terms = config->accept_terms,
		.built_in = config->built_in,
		.key_type = config->account_key,
		.eab_alg = config->eab_alg };
	ret->contacts = join(&config->contact);
	if (ret->contacts == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < ELEMENTS(texts); i++)
		if (copy(texts[i].from, texts[i].to) < 0)
			return -ENOMEM;
	return 0;
}

bool
ca_settings_same(const struct ca_settings *a, const struct ca_settings *b)
{
	return same_text(a->name, b->name) && same_text(a->directory, b->directory) &&
	    same_text(a->contacts, b->contacts) && a->accept_terms == b->accept_terms &&
	    a->key_type == b->key_type && same_text(a->key_file, b->key_file) &&
	    same_text(a->trust_file, b->trust_file) && same_text(a->proxy, b->proxy) &&
	    same_text(a->eab_kid, b->eab_kid) &&
	    same_text(a->eab_key_file, b->eab_key_file) && a->eab_alg == b->eab_alg;
}

void
ca_settings_clear(struct ca_settings *s)
{
	free(s->name);
	free(s->directory);
	free(s->contacts);
	free(s->key_file);
	free(s->trust_file);
	free(s->proxy);
	free(s->eab_kid);
	free(s->eab_key_file);
	*s = (struct ca_settings){ 0 };
}
