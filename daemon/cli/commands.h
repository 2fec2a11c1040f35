/*
 * commands.h - the commands of clipward; each is a cmd_*.c of its own.
 *
 * Runs in: cli.
 */
#ifndef CW_COMMANDS_H
#define CW_COMMANDS_H

struct cw_cli;

#define CW_COMMAND(name) int cw_cmd_##name(struct cw_cli *, int, char **)
CW_COMMAND(scan);
CW_COMMAND(submit);
CW_COMMAND(get);
CW_COMMAND(watch);
CW_COMMAND(explain);
CW_COMMAND(redact);
CW_COMMAND(embed);
CW_COMMAND(tokenize);
CW_COMMAND(policy_check);
CW_COMMAND(policy_lint);
CW_COMMAND(policy_show);
CW_COMMAND(policy_test);
CW_COMMAND(policy_diff);
CW_COMMAND(policy_rescore);
CW_COMMAND(policy_tune);
CW_COMMAND(model_info);
CW_COMMAND(model_verify);
CW_COMMAND(model_prepare);
CW_COMMAND(status);
CW_COMMAND(top);
CW_COMMAND(drain);
CW_COMMAND(reload);
CW_COMMAND(bench);
CW_COMMAND(config);
CW_COMMAND(keygen);
#undef CW_COMMAND

#endif /* CW_COMMANDS_H */
