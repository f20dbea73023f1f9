/*
 * log_event.c - the table of events and their MESSAGE_IDs.
 *
 * Used by log.c. A new event is a row here and an entry in systemd/renewd.catalog;
 * tests/check-docs compares them.
 */
#include "platform/log_event.h"

#include <assert.h>
#include <stddef.h>

static const char *const ids[LOG_EVENTS] = {
	[LOG_EVENT_READY] = "451e11b3580546669febd27baecf773d",
	[LOG_EVENT_STOPPED] = "f7d0d163915c497c9eb8a9b6c0c00add",
	[LOG_EVENT_START_FAILED] = "cc0e2476929042de89c6ff990555d11b",
	[LOG_EVENT_RELOADED] = "2d79b82a9448458f98b133983cfb29f2",
	[LOG_EVENT_RELOAD_REFUSED] = "8178104a487349de8e0cf04d9ff4effd",
	[LOG_EVENT_ISSUED] = "5d66fb51d940450aa1dadb722d96dad8",
	[LOG_EVENT_RENEWAL_FAILED] = "371bbe2a9925451583f470d580658222",
	[LOG_EVENT_PARKED] = "0d5c6569948041fba75f631d9a2f5209",
	[LOG_EVENT_OTHER_CA] = "30163b3d4752449984d4ea22298d5d72",
	[LOG_EVENT_CA_FAILED] = "00a9e34fe8b448dc8078e2c7f6db4c1a",
	[LOG_EVENT_ACCOUNT] = "ac259abca4c14a8f98c1c131de952ba8",
	[LOG_EVENT_DEPLOYED] = "74c1d562643c43318bac1749337137c5",
	[LOG_EVENT_DEPLOY_FAILED] = "0d6312a62b074cde80299edc58a55558",
	[LOG_EVENT_OTHER_WAY] = "87ba8699c17b469a839b44d79cd0058b",
	[LOG_EVENT_FILES_FAILED] = "72b1560b14eb463ba0e4bb35a1262eff",
	[LOG_EVENT_FILES_REPAIRED] = "04d4714eb33a48329e8096b2f57659c1",
	[LOG_EVENT_PLACEHOLDER] = "0020f38b557a4c11806016598aaa0ed6",
	[LOG_EVENT_LISTEN_FAILED] = "2a5b85b8a9114137b698f128d6efbcfa",
	[LOG_EVENT_LISTENING] = "bac9aface3e541b19d3d207bd1b4b2c1",
	[LOG_EVENT_STORE_FAILED] = "47ecef63bffd41a2a5dbd49a3cab1d87",
	[LOG_EVENT_GROUP_MISSING] = "4003f32de1ec48098cac4e96ed9d7a39",
	[LOG_EVENT_DEFINED_TWICE] = "1b0e4fdad01a43c4b2e3d3508ee41da6",
	[LOG_EVENT_REVOKED] = "f8dcff572d6a4a43b5eb6fea5c34214b",
	[LOG_EVENT_REVOKE_FAILED] = "1e04fb1fa0b643a09d120af28eab6ae8",
	[LOG_EVENT_KEY_COMPROMISED] = "b135d09a898b4d57bc27dd7fbd266188",
	[LOG_EVENT_NAME_MISSING] = "8f0a6c1be7d24d4c9a37b1f25d60c3e9",
};

const char *
log_event_id(enum log_event event)
{
	assert(event < LOG_EVENTS);
	return ids[event];
}
