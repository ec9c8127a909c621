// Package e2e tests Lakepulse from outside: the real binary as processes, over
// HTTP, with a real NATS and a real Postgres.
//
// The tests named TestFaults kill, stop, cut and slow down every part at random
// while a client sends with retries and keeps a ledger of the ids that were
// answered 202. When all is healed the ledger and the tables must hold the same
// ids, each once. Each run prints its seed; LAKEPULSE_FAULT_SEEDS says how many
// seeds to run, LAKEPULSE_FAULT_SEED which one to repeat.
package e2e
