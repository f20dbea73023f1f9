/*
 * wire_problem.c - problem documents (RFC 9457) as ACME uses them (RFC 8555
 * section 6.7), and when a CA wants to be asked again.
 *
 * Whatever a CA sends as an error ends here as a struct acme_result.
 */
#include "wire.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "result.h"
#include "scope_read.h"

#define SUBPROBLEMS_MAX WIRE_NAMES_MAX
#define TYPE_MAX        200

/* A problem type is a URI; anything odd is not kept. */
static char *
read_type(const struct json *object)
{
	const char *type = json_string(json_get(object, "type"));

	if (type == NULL || *type == '\0' || strlen(type) > TYPE_MAX)
		return NULL;
	for (const char *c = type; *c != '\0'; c++)
		if (*c <= 0x20 || *c >= 0x7f)
			return NULL;
	return strdup(type);
}

static char *
read_line(const struct json *object, const char *name)
{
	const char *text = json_string(json_get(object, name));

	return text != NULL ? result_line(text) : NULL;
}

static void
read_subproblems(const struct json *object, struct acme_result *result)
{
	const struct json *list = json_get(object, "subproblems");
	size_t count = json_type(list) == JSON_ARRAY ? json_count(list) : 0;

	if (count == 0)
		return;
	if (count > SUBPROBLEMS_MAX)
		count = SUBPROBLEMS_MAX;
	result->subproblems = calloc(count, sizeof(*result->subproblems));
	if (result->subproblems == NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct json *problem = json_at(list, i);
		struct acme_subproblem *sub = &result->subproblems[i];

		sub->type = read_type(problem);
		sub->detail = read_line(problem, "detail");
		sub->identifier = read_line(json_get(problem, "identifier"), "value");
		if (sub->identifier == NULL)
			sub->identifier = strdup("");
		result->subproblem_count = i + 1;
	}
}

struct acme_result *
wire_problem_from(const struct json *object, const char *stage)
{
	_cleanup_(acme_result_freep) struct acme_result *result = NULL;
	_cleanup_free_ char *detail = NULL;
	int64_t status = 0;

	if (json_type(object) != JSON_OBJECT)
		return NULL;
	detail = read_line(object, "detail");
	if (detail == NULL)
		detail = read_line(object, "title");
	result = acme_result_new(ACME_RETRY, stage, "%s",
	    detail != NULL ? detail : "the CA gave no explanation");
	if (result == NULL)
		return NULL;
	result->type = read_type(object);
	if (json_integer(json_get(object, "status"), &status) == 0 && status >= 100 &&
	    status < 600)
		result->status = (int)status;
	(void)wire_url(object, "instance", &result->instance);
	read_subproblems(object, result);
	result->class = result_class(result->type, result->status);
	return steal_ptr(result);
}

static struct acme_result *
read_document(const struct acme_reply *reply, const char *stage)
{
	struct json *json = NULL;
	struct acme_result *result;

	if (reply->body == NULL ||
	    json_parse(reply->body, reply->body_len, &json_limits_acme, &json) < 0)
		return NULL;
	result = wire_problem_from(json, stage);
	json_free(json);
	return result;
}

struct acme_result *
wire_problem_read(const struct acme_reply *reply, const char *stage)
{
	struct acme_result *result;

	if (reply->status == 0)
		return acme_result_new(ACME_RETRY, stage, "no answer from the CA: %s",
		    reply->error != NULL ? reply->error : "unknown error");
	if (reply->status < 400)
		return acme_result_new(ACME_RETRY, stage,
		    "the CA's answer makes no sense (HTTP %d)", reply->status);
	result = read_document(reply, stage);
	if (result == NULL)
		result = acme_result_new(
		    ACME_RETRY, stage, "the CA answers HTTP %d", reply->status);
	if (result == NULL)
		return NULL;
	/* some servers put no status into the document, so HTTP's counts */
	result->status = reply->status;
	result->class = result_class(result->type, reply->status);
	result->not_before = acme_retry_at(reply);
	scope_read(reply, result);
	/* overloaded, and no word about how long */
	if (reply->status == 503 && result->not_before == 0)
		result->class = ACME_RETRY;
	if (result->instance == NULL && reply->link_terms != NULL &&
	    wire_url_ok(reply->link_terms))
		result->instance = strdup(reply->link_terms);
	return result;
}

struct acme_result *
acme_reply_result(const struct acme_reply *reply, const char *stage)
{
	return wire_problem_read(reply, stage);
}

/* Delta seconds or an IMF-fixdate (RFC 9110 section 10.2.3). */
static bool
read_date(const char *text, int64_t *ret)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

	if (end == NULL || *end != '\0')
		return false;
	*ret = timegm(&tm);
	return true;
}

int64_t
acme_reply_date(const struct acme_reply *reply)
{
	int64_t date;

	return reply->date != NULL && read_date(reply->date, &date) ? date : 0;
}

int64_t
acme_retry_at(const struct acme_reply *reply)
{
	const int64_t longest = INT64_C(366) * 24 * 3600;
	const char *text = reply->retry_after;
	int64_t delay = 0;
	int64_t date;

	if (text == NULL || *text == '\0')
		return 0;
	if (text[strspn(text, "0123456789")] == '\0') {
		delay = strlen(text) < 10 ? strtol(text, NULL, 10) : longest;
	} else if (read_date(text, &delay)) {
		if (reply->date == NULL || !read_date(reply->date, &date))
			date = reply->received_at;
		delay -= date;
	} else {
		return 0;
	}
	if (delay < 0)
		delay = 0;
	return reply->received_at + (delay < longest ? delay : longest);
}
