package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lakepulse/lakepulse/bench/load"
	"github.com/lakepulse/lakepulse/bench/report"
	"github.com/lakepulse/lakepulse/pkg/retry"
)

const (
	freshRate  = 5000 // events a second beside the probes
	probeEvery = 100 * time.Millisecond
	probePoll  = 4 * time.Millisecond
)

// freshness: from the 202 of a probe to the answer of the API that counts it,
// while other events come at a steady rate.
func (b *bench) freshness(ctx context.Context) (err error) {
	c, err := b.standalone(ctx, "freshness")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	seconds := b.pick(4, 10)
	for round := range b.rounds {
		const batch = 50
		background, stop := context.WithCancel(ctx)
		g, gctx := errgroup.WithContext(background)
		g.Go(func() error {
			_, err := load.Run(gctx, load.Plan{Target: c.target, Batch: batch, Conns: 8, Requests: freshRate / batch * (seconds + 60), Rate: freshRate / batch})
			if background.Err() != nil {
				return nil // told to stop
			}
			return err
		})
		waits, err := probes(gctx, "http://"+c.target.Addr, round, seconds)
		stop()
		if err := errors.Join(err, g.Wait()); err != nil {
			return c.failed(err)
		}
		slices.Sort(waits)
		b.report.Add("202 to visible, p50", "ms", waits[len(waits)/2].Seconds()*1000)
		b.report.Add("202 to visible, p99", "ms", waits[len(waits)*99/100].Seconds()*1000)
	}
	b.report.Bound("202 to visible at 5,000 events/s, p99", "202 to visible, p99", report.AtMost(1000))
	return nil
}

// probes sends one usage event now and then, each of a user of its own, and
// asks until that user's count says it is there.
func probes(ctx context.Context, base string, round, seconds int) ([]time.Duration, error) {
	n := int(time.Duration(seconds) * time.Second / probeEvery)
	waits := make([]time.Duration, n)
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		if err := retry.Sleep(ctx, probeEvery); err != nil {
			return nil, errors.Join(err, g.Wait())
		}
		g.Go(func() (err error) {
			waits[i], err = probe(ctx, base, fmt.Sprintf("probe-%d-%d@example.com", round, i))
			return err
		})
	}
	return waits, g.Wait()
}

func probe(ctx context.Context, base, user string) (time.Duration, error) {
	at := time.Now().UTC()
	body := fmt.Sprintf(`{"events":[{"id":%q,"timestamp":%q,"event_type":"page_view","page_name":"/probe"}]}`, load.NewID(at), at.Format(time.RFC3339Nano))
	if _, err := ask(ctx, http.MethodPost, base+"/api/v1/metrics/usage-events", user, body); err != nil {
		return 0, err
	}
	accepted := time.Now()
	for {
		answer, err := ask(ctx, http.MethodGet, base+"/api/v1/metrics/usage/count", user, "")
		if err != nil {
			return 0, err
		}
		var got struct {
			Count int `json:"count"`
		}
		if err := json.Unmarshal(answer, &got); err != nil {
			return 0, err
		}
		if got.Count == 1 {
			return time.Since(accepted), nil
		}
		if time.Since(accepted) > 30*time.Second {
			return 0, fmt.Errorf("the event of %s is not visible after 30 s", user)
		}
		if err := retry.Sleep(ctx, probePoll); err != nil {
			return 0, err
		}
	}
}

// ask is one HTTP exchange as a user.
func ask(ctx context.Context, method, url, user, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if user != "" {
		req.Header.Set("X-Forwarded-Email", user)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // read to its end
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("%s %s answered %d: %.300s", method, url, resp.StatusCode, answer)
	}
	return answer, err
}
