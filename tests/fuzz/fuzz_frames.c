/*
 * fuzz_frames.c - bodies of the frames between our processes.
 *
 * The first byte chooses the body, the rest is it.  A result is read against
 * a set that an earlier good frame would have given.
 */
#include <stdint.h>
#include <stdlib.h>

#include "format/gate_msg.h"
#include "format/result.h"
#include "format/worker_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct cw_policy_set *
small_set(struct cw_arena *a)
{
	static struct cw_prompt prompts[2] = { { "a", 1 }, { "b", 1 } };
	static struct cw_category cats[2];
	static struct cw_policy policy;
	static struct cw_policy_set set;
	static const char *templates[1] = { "{}" };

	for (int i = 0; i < 2; i++)
		cats[i] = (struct cw_category){ .id = "c", .title = "",
			.prompts = prompts, .nprompts = 2,
			.reason = { "", "", "" } };
	policy = (struct cw_policy){ .id = "p", .title = "", .file = "",
		.templates = templates, .ntemplates = 1, .categories = cats,
		.ncategories = 2, .neutral = prompts, .nneutral = 2 };
	set = (struct cw_policy_set){ .policies = &policy, .npolicies = 1 };
	if (cw_policy_set_finish(&set, a, NULL) != CW_OK)
		abort();
	return &set;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	union {
		struct cw_policy_set set;
		struct cw_job job;
		struct cw_result result;
		struct cw_init init;
		struct cw_model_facts facts;
		struct cw_policy_msg policy;
		struct cw_policy_done done;
		struct cw_text_msg text;
		struct cw_text_done text_done;
		struct cw_gate_init gate;
		struct cw_gate_ready ready;
		struct cw_request request;
		struct cw_reply reply;
		struct cw_publish publish;
		struct cw_gate_stats stats;
		struct cw_bench_msg bench;
	} out;
	static struct cw_arena *a;
	struct cw_unpack r;
	struct cw_err err;

	if (size == 0)
		return 0;
	if (a == NULL && cw_arena_open(32 << 20, &a, NULL) != CW_OK)
		abort();
	cw_unpack_init(&r, data + 1, size - 1);
	switch (data[0] >= 254 ? data[0] - 240 : data[0] % 14) {
	case 0: (void)!cw_policy_set_unpack(&r, a, &out.set, &err); break;
	case 1: (void)!cw_job_unpack(&r, a, &out.job, &err); break;
	case 2: (void)!cw_result_unpack(&r, small_set(a), a, &out.result,
		    &err); break;
	case 3: (void)!cw_init_unpack(&r, a, &out.init, &err); break;
	case 4: (void)!cw_model_facts_unpack(&r, a, &out.facts, &err); break;
	case 5: (void)!cw_policy_msg_unpack(&r, a, &out.policy, &err); break;
	case 6: (void)!cw_policy_done_unpack(&r, 100, a, &out.done, &err);
		break;
	case 7: (void)!cw_text_msg_unpack(&r, a, &out.text, &err); break;
	case 8: (void)!cw_text_done_unpack(&r, a, &out.text_done, &err);
		break;
	case 9: (void)!cw_gate_init_unpack(&r, a, &out.gate, &err); break;
	case 10: (void)!cw_gate_ready_unpack(&r, a, &out.ready, &err); break;
	case 11: (void)!cw_request_unpack(&r, a, &out.request, &err); break;
	case 12: (void)!cw_reply_unpack(&r, a, &out.reply, &err); break;
	case 13: (void)!cw_publish_unpack(&r, a, &out.publish, &err); break;
	case 14: (void)!cw_gate_stats_unpack(&r, &out.stats, &err); break;
	case 15: (void)!cw_bench_msg_unpack(&r, &out.bench, &err); break;
	}
	cw_arena_reset(a, 1 << 20);
	return 0;
}
