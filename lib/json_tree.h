/*
 * json_tree.h - inside json: from values in the order of the text to a tree.
 */
#ifndef JSON_TREE_H
#define JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json.h"

#define DRAFT_NONE UINT32_MAX

/* A value as it was read. The one it is in comes before it in the array. */
struct draft {
	uint32_t parent;
	uint32_t name; /* offsets in the strings, or DRAFT_NONE */
	uint32_t text;
	uint32_t count; /* of children */
	uint32_t first; /* where they are placed, in the end */
	uint32_t placed;
	uint8_t type;
	bool truth;
};

/* -EBADMSG where a name comes twice in an object, -ENOMEM. The drafts are used up. */
int json_tree(struct draft *drafts, size_t count, const char *strings,
    size_t strings_len, struct json **ret);

#endif
