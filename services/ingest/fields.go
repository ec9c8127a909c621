package ingest

import (
	"math"

	"github.com/lakepulse/lakepulse/pkg/event"
)

// blankPerformance is an event none of whose required members has been seen:
// what stays as it is here is refused by Validate.
func blankPerformance() event.Performance {
	return event.Performance{ResponseTimeMS: math.NaN()}
}

// setPerformance stores one member. Members it does not know are ignored, so
// that a newer sender can talk to an older ingest.
func setPerformance(p *event.Performance, name string, v value) *event.FieldError {
	switch name {
	case "id":
		return id(v, &p.ID)
	case "timestamp":
		return instant(v, &p.Timestamp)
	case "app":
		return text(name, v, &p.App)
	case "instance":
		return text(name, v, &p.Instance)
	case "endpoint":
		return text(name, v, &p.Endpoint)
	case "method":
		return text(name, v, &p.Method)
	case "status_code":
		var n int64
		if err := whole(name, v, &n); err != nil {
			return err
		}
		p.StatusCode = int(max(math.MinInt32, min(n, math.MaxInt32)))
		return nil
	case "response_time_ms":
		return number(name, v, &p.ResponseTimeMS)
	case "user_id":
		return text(name, v, &p.UserID)
	case "error_type":
		return text(name, v, &p.ErrorType)
	case "app_version":
		return text(name, v, &p.AppVersion)
	case "session_id":
		return text(name, v, &p.SessionID)
	case "interaction_id":
		return text(name, v, &p.InteractionID)
	case "trace_id":
		return text(name, v, &p.TraceID)
	case "correlation_id":
		return text(name, v, &p.CorrelationID)
	case "seq":
		return seq(v, &p.Seq)
	}
	return nil
}

// setUsage stores one member; see setPerformance.
func setUsage(u *event.Usage, name string, v value) *event.FieldError {
	switch name {
	case "id":
		return id(v, &u.ID)
	case "timestamp":
		return instant(v, &u.Timestamp)
	case "app":
		return text(name, v, &u.App)
	case "event_type":
		return text(name, v, &u.EventType)
	case "user_id":
		return text(name, v, &u.UserID)
	case "page_name":
		return text(name, v, &u.PageName)
	case "element_id":
		return text(name, v, &u.ElementID)
	case "success":
		return boolean(name, v, &u.Success)
	case "metadata":
		return metadata(v, (*[]byte)(&u.Metadata))
	case "app_version":
		return text(name, v, &u.AppVersion)
	case "session_id":
		return text(name, v, &u.SessionID)
	case "interaction_id":
		return text(name, v, &u.InteractionID)
	case "seq":
		return seq(v, &u.Seq)
	}
	return nil
}
