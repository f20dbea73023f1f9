/*
 * target.h - copies of what a run needs, so that configuration and certificates may
 * change while it goes on.
 */
#ifndef TARGET_H
#define TARGET_H

#include "config/config.h"
#include "deploy/deploy.h"
#include "scope.h"

/* Word lists of the copy end in a NULL, as argv does. NULL without memory. */
struct target_config *target_copy(const struct target_config *config);
struct target_config *target_free(struct target_config *config);

/* Fields that are NULL become "". */
struct deploy_subject *target_subject_copy(const struct deploy_subject *subject);
struct deploy_subject *target_subject_free(struct deploy_subject *subject);

DEFINE_CLEANUP(struct target_config, target_free)
DEFINE_CLEANUP(struct deploy_subject, target_subject_free)

#endif
