/*
 * target.c - copies of what a run needs.
 *
 * Called by deploy.c and run.c. It knows the fields of a target, and never what they
 * are good for.
 */
#include "deploy/target.h"

#include <string.h>

/* True also where there is nothing to copy. */
static bool
copy_text(const char *from, char **to)
{
	*to = from != NULL ? strdup(from) : NULL;
	return from == NULL || *to != NULL;
}

static bool
copy_words(const struct words *from, struct words *to)
{
	to->n = 0;
	to->v = calloc(from->n + 1, sizeof(*to->v));
	if (to->v == NULL)
		return false;
	for (; to->n < from->n; to->n++)
		if (!copy_text(from->v[to->n], &to->v[to->n]))
			return false;
	return true;
}

static void
free_words(struct words *words)
{
	for (size_t i = 0; i < words->n; i++)
		free(words->v[i]);
	free(words->v);
}

struct target_config *
target_copy(const struct target_config *config)
{
	_cleanup_(target_freep) struct target_config *copy = calloc(1, sizeof(*copy));

	if (copy == NULL)
		return NULL;
	copy->type = config->type;
	copy->action = config->action;
	copy->signal = config->signal;
	copy->timeout = config->timeout;
	copy->verify_interval = config->verify_interval;
	copy->verify_names = config->verify_names;
	copy->roll_back = config->roll_back;
	copy->require = config->require;
	copy->windows = config->windows;
	copy->mode = config->mode;
	for (size_t i = 0; i < COPY_KINDS; i++)
		if (!copy_text(config->copies[i], &copy->copies[i]))
			return NULL;
	if (!copy_text(config->name, &copy->name) ||
	    !copy_text(config->master_socket, &copy->master_socket) ||
	    !copy_text(config->unit, &copy->unit) ||
	    !copy_text(config->pidfile, &copy->pidfile) ||
	    !copy_text(config->process, &copy->process) ||
	    !copy_text(config->bundle_path, &copy->bundle_path) ||
	    !copy_text(config->pkcs12_password_file, &copy->pkcs12_password_file) ||
	    !copy_text(config->owner, &copy->owner) ||
	    !copy_text(config->group, &copy->group) ||
	    !copy_words(&config->sockets, &copy->sockets) ||
	    !copy_words(&config->verify, &copy->verify) ||
	    !copy_words(&config->test_command, &copy->test_command) ||
	    !copy_words(&config->command, &copy->command))
		return NULL;
	return steal_ptr(copy);
}

struct target_config *
target_free(struct target_config *config)
{
	if (config == NULL)
		return NULL;
	free(config->name);
	free(config->master_socket);
	free(config->unit);
	free(config->pidfile);
	free(config->process);
	free(config->bundle_path);
	for (size_t i = 0; i < COPY_KINDS; i++)
		free(config->copies[i]);
	free(config->pkcs12_password_file);
	free(config->owner);
	free(config->group);
	free_words(&config->sockets);
	free_words(&config->verify);
	free_words(&config->test_command);
	free_words(&config->command);
	free(config);
	return NULL;
}

static bool
copy_field(const char *from, const char **to)
{
	*to = strdup(from != NULL ? from : "");
	return *to != NULL;
}

struct deploy_subject *
target_subject_copy(const struct deploy_subject *subject)
{
	_cleanup_(target_subject_freep) struct deploy_subject *copy = NULL;

	copy = calloc(1, sizeof(*copy));
	if (copy == NULL || !copy_field(subject->certificate, &copy->certificate) ||
	    !copy_field(subject->domains, &copy->domains) ||
	    !copy_field(subject->bundle_dir, &copy->bundle_dir) ||
	    !copy_field(subject->serial, &copy->serial) ||
	    !copy_field(subject->not_after, &copy->not_after) ||
	    !copy_field(subject->json, &copy->json))
		return NULL;
	return steal_ptr(copy);
}

struct deploy_subject *
target_subject_free(struct deploy_subject *subject)
{
	if (subject == NULL)
		return NULL;
	free((char *)subject->certificate);
	free((char *)subject->domains);
	free((char *)subject->bundle_dir);
	free((char *)subject->serial);
	free((char *)subject->not_after);
	free((char *)subject->json);
	free(subject);
	return NULL;
}
