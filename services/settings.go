package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/fx"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
	"github.com/lakepulse/lakepulse/pkg/settings"
	"github.com/lakepulse/lakepulse/pkg/stream"
)

var (
	// settingsFromDatabase: the recorded settings, for roles that have the
	// database; they pass them on to the log's bucket.
	settingsFromDatabase = fx.Module("settings", fx.Provide(newLiveSettings, keepSettings))

	// settingsFromLog: the same from the log's bucket, for ingest.
	settingsFromLog = fx.Module("settings", fx.Provide(newLiveSettings, learnSettings))
)

const (
	settingsEvery   = 15 * time.Second
	settingsTimeout = 10 * time.Second
	// bucketPatience is how long the start of ingest waits for the bucket.
	bucketPatience = 2 * time.Second
)

func newLiveSettings(cfg Config) *settings.Live {
	return settings.NewLive(cfg.Told.Or(settings.Defaults()))
}

type settingsIn struct {
	fx.In

	Config Config
	Live   *settings.Live
	JS     jetstream.JetStream
	Pool   *pgxpool.Pool `optional:"true"`
	Log    *slog.Logger
	Down   fx.Shutdowner
}

// settingsKeeper keeps a process's settings the recorded ones.
type settingsKeeper struct {
	in   settingsIn
	once func(context.Context) error
}

// keepSettings reads the recorded settings at the start, records what is not
// recorded yet, and goes on reading: somebody may change them.
func keepSettings(in settingsIn) *settingsKeeper {
	k := &settingsKeeper{in: in}
	k.once = k.loadAndPublish
	if in.Config.Target == Query || in.Config.Target == Aggregate {
		k.once = k.load // they know the log's keys alone
	}
	return k
}

// learnSettings reads the settings from the log's bucket, again and again.
func learnSettings(in settingsIn) *settingsKeeper {
	k := &settingsKeeper{in: in}
	k.once = k.learn
	return k
}

// hook reads the settings at the start and again and again until the process
// stops. A conflict at the start is the start's error; later it ends the process.
// It goes right before the web server's hook: what was started by then is stopped
// again, and no request is answered under other settings.
func (k *settingsKeeper) hook() fx.Hook {
	ctx, cancel := context.WithCancel(context.Background())
	finished := make(chan struct{})
	return fx.Hook{
		OnStart: func(start context.Context) error {
			if err := k.try(start); errors.Is(err, settings.ErrConflict) {
				cancel()
				close(finished)
				return err
			}
			go func() {
				defer close(finished)
				k.loop(ctx)
			}()
			return nil
		},
		OnStop: func(stop context.Context) error {
			cancel()
			select {
			case <-finished:
				return nil
			case <-stop.Done():
				return stop.Err()
			}
		},
	}
}

func (k *settingsKeeper) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settingsTimeout)
	defer cancel()
	return k.once(ctx)
}

func (k *settingsKeeper) loop(ctx context.Context) {
	tick := time.NewTicker(settingsEvery)
	defer tick.Stop()
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := k.try(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, settings.ErrConflict):
			fatal(k.in.Log, k.in.Down)(err)
			return
		case err != nil && !failing:
			k.in.Log.Warn("settings: not read, the last known ones hold", "error", err)
		}
		failing = err != nil
	}
}

// load reads the settings from the database.
func (k *settingsKeeper) load(ctx context.Context) error {
	return k.read(ctx, settings.Values{RawRetention: settings.Defaults().RawRetention, AggregateRetention: settings.Defaults().AggregateRetention})
}

// loadAndPublish reads the settings from the database, raises the log's age
// to them and passes them on to the log's bucket.
func (k *settingsKeeper) loadAndPublish(ctx context.Context) error {
	actual, exists, err := stream.ReadShape(ctx, k.in.JS)
	if err != nil { // the retention is known all the same
		return errors.Join(k.load(ctx), err)
	}
	has := settings.Values{StreamReplicas: actual.Replicas, StreamMaxBytes: actual.MaxBytes}
	if err := k.read(ctx, has.Or(settings.Defaults())); err != nil {
		return err
	}
	state := k.in.Live.Load()
	if exists {
		if err := k.raise(ctx, actual, state.Values); err != nil {
			return err
		}
	}
	kv, err := settings.EnsureBucket(ctx, k.in.JS, state.StreamReplicas)
	if err != nil {
		return err
	}
	return settings.Publish(ctx, kv, state)
}

// read records what the process was told, else the given values, where nothing
// is recorded yet, and takes over what is.
func (k *settingsKeeper) read(ctx context.Context, first settings.Values) error {
	recorded, err := metricsdb.RecordSettings(ctx, k.in.Pool, k.in.Config.Told.Or(first), "first start of "+string(k.in.Config.Target))
	if err != nil {
		return err
	}
	if err := settings.Conflict(k.in.Config.Told, recorded); err != nil {
		return err
	}
	state, err := metricsdb.ReadState(ctx, k.in.Pool)
	if err != nil {
		return err
	}
	state.Values = state.Or(k.in.Config.Told).Or(settings.Defaults())
	k.in.Live.Store(state)
	return nil
}

// learn reads the settings from the log's bucket. Where no role with a database
// has ever been, it leaves those the process was told.
func (k *settingsKeeper) learn(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, bucketPatience)
	defer cancel()
	kv, err := k.in.JS.KeyValue(ctx, settings.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("settings bucket: %w", err)
	}
	state, found, err := settings.Read(ctx, kv)
	if err != nil || !found {
		return err
	}
	if err := settings.Conflict(k.in.Config.Told, state.Values); err != nil {
		return err
	}
	state.Values = state.Or(k.in.Config.Told).Or(settings.Defaults())
	k.in.Live.Store(state)
	return nil
}

// raise gives a log that keeps messages for less than the settings say its age.
// It takes nothing away: that is for the command that changes a setting.
func (k *settingsKeeper) raise(ctx context.Context, actual stream.Shape, want settings.Values) error {
	if logAge(want) <= actual.MaxAge {
		return nil
	}
	actual.MaxAge = logAge(want)
	return stream.SetShape(ctx, k.in.JS, actual)
}

// logAge is how long the log keeps messages: a day more than the raw window.
func logAge(v settings.Values) time.Duration { return v.RawRetention + 24*time.Hour }
