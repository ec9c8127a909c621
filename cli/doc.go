// Package cli is the command line of lakepulse: it turns flags and variables into the
// configuration of a role (services.Run) or into the options of a tool.
//
// One binary holds every role. services/services.go says which modules a role
// consists of; type commands in cli.go lists the commands.
//
// Invariants:
//
//   - Each role takes only the flags that it uses. A flag of another role is a usage
//     error, because a flag without effect hides a mistake. Variables are different:
//     one environment may serve several roles, so a role ignores those of the others.
//   - A variable LAKEPULSE_… that no command knows is refused with the nearest known
//     name, because it would be ignored otherwise.
//   - Exit codes: 0 done; 2 wrong usage (flag, variable, command, configuration),
//     nothing was started; 1 any other failure. `aggregate --once` exits with 1 only
//     when the database is unreachable and with 2 when the aggregation failed.
//     `verify` exits with 2 when log and database differ.
//   - Results go to standard output; progress, logs and errors to standard error.
package cli
