package query

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/lakepulse/lakepulse/api"
	"github.com/lakepulse/lakepulse/pkg/event"
	"github.com/lakepulse/lakepulse/services/query/history"
)

// However the rows are found, the list is the one of a plain query over them.
func TestRequestsAreThoseOfAPlainQuery(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := rand.New(rand.NewPCG(3, 4))
	var list []event.Performance
	for i := range 400 {
		p := event.Performance{Timestamp: before(time.Duration(1+r.IntN(20*3600)) * time.Second), Endpoint: fmt.Sprintf("/e%d", i%3),
			ResponseTimeMS: math.Round(math.Exp(r.NormFloat64() + 3)), UserID: fmt.Sprintf("u%d", r.IntN(5))}
		if i%50 == 0 {
			p.UserID, p.StatusCode = "rare", 500
		}
		list = append(list, p)
	}
	b.requests(list...)
	same := func(t *testing.T) {
		for query, condition := range map[[2]string]string{
			{"app", "shop"}: `true`, {"endpoint", "/e1"}: `endpoint = '/e1'`, {"endpoint", "/none"}: `false`, {"user_id", "rare"}: `user_id = 'rare'`,
			{"user_id", "nobody"}: `false`, {"status_class", "error"}: `status_code >= 400`,
		} {
			for order, by := range map[string]string{"recent": ``, "slowest": `response_time_ms DESC, `} {
				for _, limit := range []string{"1", "7", "100", "1000"} {
					got := ask[api.RequestList](b, "/api/v1/metrics/requests", "order", order, "limit", limit, query[0], query[1])
					rows, err := b.pool.Query(t.Context(), `SELECT id FROM performance_metrics WHERE "timestamp" >= $1 AND `+condition+
						` ORDER BY `+by+`"timestamp" DESC, id DESC LIMIT `+limit, before(history.Day))
					require.NoError(t, err)
					want, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
					require.NoError(t, err)
					ids := make([]uuid.UUID, len(got.Requests))
					for i := range got.Requests {
						ids[i] = got.Requests[i].ID
					}
					require.Equal(t, want, ids, "%v %s %s", query, order, limit)
				}
			}
		}
	}
	t.Run("where nothing is aggregated", same)
	for h := range 19 {
		b.settle(moment.Add(-time.Duration(h+1)*time.Hour).Truncate(time.Hour), 0)
	}
	b.exec(`UPDATE hour_receipts SET source_rows = $1`, history.ListedRows)
	t.Run("where it is, and there is more than is read along the key", same)
	b.exec(`UPDATE aggregate_totals SET sample_count = 5000, histogram = varint(2 * 1034 + 1) || varint(5000)`)
	b.exec(`UPDATE aggregate_hours SET sample_counts = ARRAY(SELECT 5000 FROM unnest(sample_counts)),
		histograms = ARRAY(SELECT varint(2 * 1034 + 1) || varint(5000) FROM unnest(histograms))`)
	t.Run("and where the aggregates are wrong", same)
}
