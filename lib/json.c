/*
 * json.c - reads JSON, bounded: the only place where yajl is used.
 *
 * Used by libacme for what CAs send, and by renewd for its API and stored facts. While
 * yajl parses, values and strings go into two flat runs, of which json_tree makes what
 * callers see. It must never keep a pointer into what it was given, nor recurse.
 */
#include "json.h"

#include <errno.h>
#include <setjmp.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "json_tree.h"
#include "scope.h"
#include "utf8.h"

const struct json_limits json_limits_acme = {
	.size = 256 * 1024,
	.depth = 16,
	.values = 20000,
};

/* ---- Memory for yajl ---- */

/* yajl writes through what its allocator returns without a look, so ours never returns
 * NULL: it jumps to where yajl was called. Blocks are given back all at once. */
struct pool {
	struct block *blocks;
	jmp_buf no_memory;
};

struct block {
	struct block *next;
	size_t size;
	max_align_t data[];
};

static void *
pool_alloc_cb(void *ctx, size_t size)
{
	struct pool *pool = ctx;
	struct block *block = NULL;

	if (size <= SIZE_MAX - sizeof(*block))
		block = malloc(sizeof(*block) + size);
	if (block == NULL)
		longjmp(pool->no_memory, 1);
	block->next = pool->blocks;
	block->size = size;
	pool->blocks = block;
	return block->data;
}

static void *
pool_realloc_cb(void *ctx, void *data, size_t size)
{
	void *grown = pool_alloc_cb(ctx, size);
	const struct block *old;

	if (data == NULL)
		return grown;
	old = (const struct block *)((char *)data - offsetof(struct block, data));
	memcpy(grown, data, old->size < size ? old->size : size);
	return grown;
}

/* yajl frees nothing before its end; it doubles what grows, so little is wasted. */
static void
pool_free_cb(void *ctx, void *data)
{
	(void)ctx;
	(void)data;
}

static yajl_alloc_funcs
pool_functions(struct pool *pool)
{
	return (yajl_alloc_funcs){
		.malloc = pool_alloc_cb,
		.realloc = pool_realloc_cb,
		.free = pool_free_cb,
		.ctx = pool,
	};
}

static void
pool_clear(struct pool *pool)
{
	struct block *block = pool->blocks;

	pool->blocks = NULL;
	while (block != NULL) {
		struct block *next = block->next;

		explicit_bzero(block->data, block->size);
		free(block);
		block = next;
	}
}

/* ---- Values ---- */

struct parser {
	struct pool pool;
	const struct json_limits *limits;
	struct draft *drafts;
	size_t count;
	size_t size;
	char *strings;
	size_t strings_len;
	size_t strings_size;
	uint32_t parent; /* the open array or object */
	uint32_t name;   /* read, and waiting for its value */
	size_t depth;
	int r; /* why it was cancelled */
};

static int
cancel(struct parser *p, int r)
{
	p->r = r;
	return 0;
}

static int
grow(struct parser *p)
{
	size_t size = p->size > 0 ? p->size * 2 : 16;
	struct draft *drafts;

	if (size > p->limits->values)
		size = p->limits->values;
	drafts = reallocarray(p->drafts, size, sizeof(*drafts));
	if (drafts == NULL)
		return -ENOMEM;
	p->drafts = drafts;
	p->size = size;
	return 0;
}

/* The callbacks return 0 to stop yajl, and 1 to go on. */
static int
add_value(struct parser *p, enum json_type type, uint32_t text, bool truth)
{
	if (p->count >= p->limits->values || p->count >= DRAFT_NONE)
		return cancel(p, -E2BIG);
	if (p->count == p->size && grow(p) < 0)
		return cancel(p, -ENOMEM);
	if (p->parent != DRAFT_NONE)
		p->drafts[p->parent].count++;
	p->drafts[p->count++] = (struct draft){
		.parent = p->parent,
		.name = p->name,
		.text = text,
		.type = (uint8_t)type,
		.truth = truth,
	};
	p->name = DRAFT_NONE;
	return 1;
}

/* A string never takes more room than it did with its quotes in the text. */
static int
add_text(struct parser *p, const char *text, size_t len, uint32_t *ret)
{
	if (len >= p->strings_size - p->strings_len ||
	    memchr(text, '\0', len) != NULL || utf8_span(text, len) != len)
		return cancel(p, -EBADMSG);
	memcpy(p->strings + p->strings_len, text, len);
	p->strings[p->strings_len + len] = '\0';
	*ret = (uint32_t)p->strings_len;
	p->strings_len += len + 1;
	return 1;
}

static int
null_cb(void *ctx)
{
	return add_value(ctx, JSON_NULL, DRAFT_NONE, false);
}

static int
boolean_cb(void *ctx, int truth)
{
	return add_value(ctx, JSON_BOOL, DRAFT_NONE, truth != 0);
}

static int
number_cb(void *ctx, const char *text, size_t len)
{
	uint32_t at;

	return add_text(ctx, text, len, &at) && add_value(ctx, JSON_NUMBER, at, false);
}

static int
string_cb(void *ctx, const unsigned char *text, size_t len)
{
	uint32_t at;

	return add_text(ctx, (const char *)text, len, &at) &&
	    add_value(ctx, JSON_STRING, at, false);
}

static int
name_cb(void *ctx, const unsigned char *text, size_t len)
{
	struct parser *p = ctx;

	return add_text(p, (const char *)text, len, &p->name);
}

static int
open_container(struct parser *p, enum json_type type)
{
	if (p->depth >= p->limits->depth)
		return cancel(p, -E2BIG);
	if (!add_value(p, type, DRAFT_NONE, false))
		return 0;
	p->depth++;
	p->parent = (uint32_t)(p->count - 1);
	return 1;
}

static int
open_object_cb(void *ctx)
{
	return open_container(ctx, JSON_OBJECT);
}

static int
open_array_cb(void *ctx)
{
	return open_container(ctx, JSON_ARRAY);
}

static int
close_cb(void *ctx)
{
	struct parser *p = ctx;

	p->depth--;
	p->parent = p->drafts[p->parent].parent;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = null_cb,
	.yajl_boolean = boolean_cb,
	.yajl_number = number_cb,
	.yajl_string = string_cb,
	.yajl_start_map = open_object_cb,
	.yajl_map_key = name_cb,
	.yajl_end_map = close_cb,
	.yajl_start_array = open_array_cb,
	.yajl_end_array = close_cb,
};

static int
run_yajl(struct parser *p, const char *text, size_t len)
{
	yajl_alloc_funcs functions = pool_functions(&p->pool);
	yajl_handle yajl;

	if (setjmp(p->pool.no_memory) != 0)
		return -ENOMEM;
	yajl = yajl_alloc(&callbacks, &functions, p);
	if (yajl == NULL)
		return -ENOMEM;
	if (yajl_parse(yajl, (const unsigned char *)text, len) == yajl_status_ok &&
	    yajl_complete_parse(yajl) == yajl_status_ok)
		return 0;
	return p->r < 0 ? p->r : -EBADMSG;
}

static void
parser_clear(struct parser *p)
{
	pool_clear(&p->pool);
	if (p->strings != NULL)
		explicit_bzero(p->strings, p->strings_len);
	free(p->strings);
	free(p->drafts);
}

int
json_parse(
    const char *text, size_t len, const struct json_limits *limits, struct json **ret)
{
	_cleanup_(parser_clear) struct parser p = { .limits = limits,
		.parent = DRAFT_NONE,
		.name = DRAFT_NONE,
		.strings_size = len + 1 };
	int r;

	if (len > limits->size || len >= DRAFT_NONE - 1)
		return -E2BIG;
	if (len == 0 || !utf8_escapes_ok(text, len))
		return -EBADMSG;
	p.strings = malloc(p.strings_size);
	if (p.strings == NULL)
		return -ENOMEM;
	r = run_yajl(&p, text, len);
	if (r < 0)
		return r;
	return json_tree(p.drafts, p.count, p.strings, p.strings_len, ret);
}
