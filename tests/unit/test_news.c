/*
 * test_news.c - which failures are said again.
 */
#include "renew/news.h"

#include <string.h>

#include "result.h"
#include "suite.h"

#define UNAUTHORIZED "urn:ietf:params:acme:error:unauthorized"

static const struct {
	const char *before;
	const char *type;
	const char *detail;
	bool old;
} cases[] = {
	{ NULL, NULL, "x", false },
	{ "", NULL, "x", false },
	{ "no JSON", NULL, "x", false },
	{ "[]", NULL, "x", false },
	{ "{\"type\":null,\"detail\":\"x\",\"stage\":\"order\",\"class\":\"retry\"}",
	    NULL, "x", true },
	{ "{\"type\":null,\"detail\":\"x\",\"stage\":\"order\",\"class\":\"retry\"}",
	    NULL, "y", false },
	{ "{\"type\":null,\"detail\":\"x\",\"stage\":\"authorize\",\"class\":\"retry\"}",
	    NULL, "x", false },
	{ "{\"type\":null,\"detail\":\"x\",\"stage\":\"order\",\"class\":\"give-up\"}",
	    NULL, "x", false },
	/* a CA's words may hold the time */
	{ "{\"type\":\"" UNAUTHORIZED
	  "\",\"detail\":\"at 1\",\"stage\":\"order\",\"class\":\"retry\"}",
	    UNAUTHORIZED, "at 2", true },
	{ "{\"type\":\"urn:ietf:params:acme:error:dns\",\"detail\":\"x\","
	  "\"stage\":\"order\",\"class\":\"retry\"}",
	    UNAUTHORIZED, "x", false },
	{ "{\"type\":null,\"detail\":\"x\",\"stage\":\"order\",\"class\":\"retry\"}",
	    UNAUTHORIZED, "x", false },
};

START_TEST(test_news_once)
{
	for (size_t i = 0; i < ELEMENTS(cases); i++) {
		struct acme_result *failure =
		    acme_result_new(ACME_RETRY, "order", "%s", cases[i].detail);

		free(failure->type);
		failure->type = cases[i].type != NULL ? strdup(cases[i].type) : NULL;
		ck_assert_msg(news_is_old(cases[i].before, failure) == cases[i].old,
		    "case %zu", i);
		acme_result_free(failure);
	}
}
END_TEST

SUITE("news", test_news_once)
