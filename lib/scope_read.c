/*
 * scope_read.c - what a refusal for a limit is about, and until when, where the CA says
 * so only in words for people.
 *
 * Called by wire_problem.c. The words are those of Let's Encrypt (Boulder), which
 * others have taken over. Nothing is taken from them but names and times that are
 * sound.
 */
#include "scope_read.h"

#include <string.h>

#include "result.h"
#include "rfc3339.h"

#define LONGEST (INT64_C(366) * 24 * 3600)

static bool
is_limit(const struct acme_result *result)
{
	return result->class == ACME_LATER || result->status == 429;
}

/* ---- until when ---- */

#define DATE_AND_TIME (sizeof("2006-01-02T15:04:05") - 1)

/* "2006-01-02 15:04:05 UTC", also with T between and Z behind. */
static bool
read_time(const char *text, int64_t *ret)
{
	static const char *const ends[] = { " UTC", "UTC", "Z", "z", " +0000 UTC" };
	char plain[DATE_AND_TIME + 2];
	bool fraction;

	if (strnlen(text, DATE_AND_TIME) < DATE_AND_TIME ||
	    strchr(" Tt", text[10]) == NULL)
		return false;
	memcpy(plain, text, DATE_AND_TIME);
	plain[10] = 'T';
	memcpy(plain + DATE_AND_TIME, "Z", 2);
	text += DATE_AND_TIME;
	fraction = *text == '.';
	if (fraction)
		text += 1 + strspn(text + 1, "0123456789");
	for (size_t i = 0; i < ELEMENTS(ends); i++)
		if (strncmp(text, ends[i], strlen(ends[i])) == 0 &&
		    rfc3339_parse(plain, ret) == 0) {
			*ret += fraction; /* the next whole second */
			return true;
		}
	return false;
}

/* On our clock: the CA's may differ, and its reply tells by how much. */
static void
read_until(const struct acme_reply *reply, struct acme_result *result)
{
	static const char before[] = "retry after ";
	const char *at = strcasestr(result->detail, before);
	int64_t date = acme_reply_date(reply);
	int64_t until;

	if (at == NULL || !read_time(at + strlen(before), &until))
		return;
	until -= date != 0 ? date : reply->received_at;
	if (until > LONGEST)
		until = LONGEST;
	if (until > 0 && reply->received_at + until > result->not_before)
		result->not_before = reply->received_at + until;
}

/* ---- about what ---- */

/* A copy of what stands in quotes, or up to a blank, as a name is written. */
static char *
copy_name(const char *text, const char *until)
{
	size_t len = strcspn(text, until);
	struct acme_identifier identifier;
	char name[256];

	if (len == 0 || len >= sizeof(name))
		return NULL;
	memcpy(name, text, len);
	name[len] = '\0';
	if (acme_identifier_parse(name, &identifier, NULL) < 0)
		return NULL;
	return strdup(identifier.value);
}

static void
set_name(struct acme_result *result, enum acme_scope scope, char *name)
{
	if (name == NULL)
		return;
	result->scope = scope;
	result->scope_name = name;
}

static void
read_detail(struct acme_result *result)
{
	static const char issued[] = "certificates";
	static const char for_name[] = "for \"";
	const char *detail = result->detail;
	const char *name;

	if (strcasestr(detail, "exact set of") != NULL) {
		result->scope = ACME_SCOPE_NAMES;
		return;
	}
	name = strstr(detail, for_name);
	if (name != NULL)
		/* what was issued is counted by registered domain */
		set_name(result,
		    strcasestr(detail, issued) != NULL ? ACME_SCOPE_DOMAIN
						       : ACME_SCOPE_IDENTIFIER,
		    copy_name(name + strlen(for_name), "\""));
}

/* The names that it is about are those of the subproblems; the first stands for them.
 */
static void
read_subproblems(struct acme_result *result)
{
	for (size_t i = 0; i < result->subproblem_count; i++)
		if (result->subproblems[i].identifier == NULL ||
		    *result->subproblems[i].identifier == '\0')
			return;
	if (result->subproblem_count > 0)
		set_name(result, ACME_SCOPE_IDENTIFIER,
		    copy_name(result->subproblems[0].identifier, ""));
}

void
scope_read(const struct acme_reply *reply, struct acme_result *result)
{
	if (!is_limit(result))
		return;
	read_until(reply, result);
	read_detail(result);
	if (result->scope == ACME_SCOPE_UNKNOWN)
		read_subproblems(result);
	/* a name that is paused stays so until somebody has followed the link */
	if (strstr(result->detail, "temporarily prevented from requesting") != NULL &&
	    result->not_before == 0)
		result->class = ACME_GIVE_UP;
}
