package aggregate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/lakepulse/lakepulse/pkg/metricsdb"
)

// Service does runs in the background: rollups all the time, and the retention
// runs that someone asks for or the schedule wants.
type Service struct {
	runner *Runner
	wake   chan struct{}

	cancel  context.CancelFunc
	work    sync.WaitGroup
	trouble bool // the last look failed; read and written by the loop alone
}

// NewService returns a service that does nothing until Start.
func NewService(r *Runner) *Service {
	return &Service{runner: r, wake: make(chan struct{}, 1), cancel: func() {}}
}

// Start begins to look for work. ctx bounds the start alone.
func (s *Service) Start(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.work.Go(func() { s.loop(ctx) })
	return nil
}

// Stop ends the run under way, which the next process goes on with, and waits
// for it until ctx ends.
func (s *Service) Stop(ctx context.Context) error {
	s.cancel()
	done := make(chan struct{})
	go func() {
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Request asks for a retention run in the background and returns the run that
// will be it: one that waits or works already, where there is one.
func (s *Service) Request(ctx context.Context, req Request) (Run, error) {
	id := uuid.New()
	run := Run{
		ID: id, Kind: Retention, Trigger: req.Trigger, TriggeredBy: req.RequestedBy, CorrelationID: req.CorrelationID,
		Status: Waiting, RequestedAt: s.runner.now().UTC(), Instance: s.runner.cfg.Instance,
	}
	if run.CorrelationID == "" {
		run.CorrelationID = id.String()
	}
	run, err := metricsdb.RequestRun(ctx, s.runner.store.pool, run)
	if err != nil {
		return Run{}, err
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is about to look anyway
	}
	return run, nil
}

func (s *Service) loop(ctx context.Context) {
	tick := time.NewTicker(s.runner.cfg.Every)
	defer tick.Stop()
	for {
		s.turn(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-s.wake:
		}
	}
}

// turn does what there is to do now.
func (s *Service) turn(ctx context.Context) {
	err := s.retention(ctx)
	if err == nil {
		_, err = s.runner.Once(ctx, Request{Kind: Rollup, Trigger: TriggerSchedule, RequestedBy: s.runner.cfg.Instance, Unattended: true})
	}
	switch {
	case ctx.Err() != nil || errors.Is(err, ErrBusy):
	case err != nil && !s.trouble:
		s.trouble = true
		s.runner.log.Warn("aggregate: cannot work, trying on", "error", err)
	case err == nil && s.trouble:
		s.trouble = false
		s.runner.log.Info("aggregate: works again")
	}
}

// retention does the run that waits, if one does. It may come from another
// process, which has died since or is just slower.
func (s *Service) retention(ctx context.Context) error {
	if err := s.schedule(ctx); err != nil {
		return err
	}
	run, found, err := metricsdb.WaitingRun(ctx, s.runner.store.pool)
	if err != nil || !found {
		return err
	}
	_, err = s.runner.execute(ctx, run, Request{Unattended: true})
	return err
}

// schedule asks for the daily run when its time has come and nobody has done it.
func (s *Service) schedule(ctx context.Context) error {
	if !s.runner.cfg.Schedule {
		return nil
	}
	done, err := metricsdb.RetentionSince(ctx, s.runner.store.pool, s.runner.cfg.lastDaily(s.runner.now()))
	if err != nil || done {
		return err
	}
	_, err = s.Request(ctx, Request{Trigger: TriggerSchedule, RequestedBy: s.runner.cfg.Instance})
	return err
}

// lastDaily is when the daily run was due last.
func (c Config) lastDaily(now time.Time) time.Time {
	due := now.UTC().Truncate(24 * time.Hour).Add(c.DailyAt)
	if due.After(now) {
		due = due.Add(-24 * time.Hour)
	}
	return due
}
