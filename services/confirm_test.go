package services_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/pkg/testkit"
	"github.com/lakepulse/lakepulse/services"
)

func TestAllWithTheLogInside(t *testing.T) {
	t.Parallel()
	database := testkit.Database(t)
	inside := func() services.Config {
		cfg := outside(t, "", database)
		cfg.DataDir = testkit.DataDir(t) // a container starts with an empty disk
		return cfg
	}

	first := inside()
	stop := run(t, services.All, first)
	await(t, first, "/ready", ready)
	send(t, first, 5)
	require.Equal(t, 5, storedRequests(t, database), "202 comes after the commit")
	send(t, first, 7)
	stop()

	t.Run("a new container with an empty disk goes on", func(t *testing.T) {
		second := inside()
		run(t, services.All, second)
		await(t, second, "/ready", ready)
		send(t, second, 3)
		require.Equal(t, 15, storedRequests(t, database))

		t.Run("beside an old container that has not ended yet", func(t *testing.T) {
			third := inside()
			run(t, services.All, third)
			await(t, third, "/ready", ready)
			send(t, third, 2)
			send(t, second, 2)
			require.Equal(t, 19, storedRequests(t, database))
		})
	})
}

// storedRequests counts the rows of the app that send sends for.
func storedRequests(t *testing.T, database string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	require.NoError(t, conn.QueryRow(t.Context(), `SELECT count(*) FROM metrics.performance_metrics WHERE app = 'shop'`).Scan(&n))
	return n
}

func TestConfirmConfig(t *testing.T) {
	t.Parallel()
	cfg := outside(t, "", "postgres://127.0.0.1:1/x")
	cfg.Confirm = services.ConfirmLog
	_, err := services.Options(services.All, cfg, testkit.Logger(t))
	require.ErrorContains(t, err, "--confirm log: needs NATS_URL")
	cfg.Confirm = "maybe"
	_, err = services.Options(services.All, cfg, testkit.Logger(t))
	require.ErrorContains(t, err, "must be log or stored")
}
