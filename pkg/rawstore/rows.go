package rawstore

import "github.com/lakepulse/lakepulse/pkg/event"

// performanceColumns turns events into the parameters of insertPerformance, in
// its order.
func performanceColumns(rows []event.Performance) []*column {
	n := len(rows)
	id, at, received, status, took, seq := uuids(n), times(n), times(n), int2s(n), floats(n), int8s(n)
	app, endpoint, method, instance, user := texts(n), texts(n), texts(n), texts(n), texts(n)
	failure, version, session, interaction, trace, correlation := texts(n), texts(n), texts(n), texts(n), texts(n), texts(n)
	for i := range rows {
		p := &rows[i]
		id.addUUID(p.ID)
		at.addTime(p.Timestamp)
		received.addTime(p.ReceivedAt)
		app.addText(p.App)
		endpoint.addText(p.Endpoint)
		method.addText(p.Method)
		status.addInt2(p.StatusCode)
		took.addFloat(p.ResponseTimeMS)
		seq.addInt8(p.Seq)
		instance.addText(p.Instance)
		user.addText(p.UserID)
		failure.addText(p.ErrorType)
		version.addText(p.AppVersion)
		session.addText(p.SessionID)
		interaction.addText(p.InteractionID)
		trace.addText(p.TraceID)
		correlation.addText(p.CorrelationID)
	}
	return []*column{id, at, received, app, endpoint, method, status, took, seq, instance, user,
		failure, version, session, interaction, trace, correlation}
}

// usageColumns turns events into the parameters of insertUsage, in its order.
func usageColumns(rows []event.Usage) []*column {
	n := len(rows)
	id, at, received, seq, success := uuids(n), times(n), times(n), int8s(n), bools(n)
	app, kind, user, page, element := texts(n), texts(n), texts(n), texts(n), texts(n)
	version, session, interaction, metadata := texts(n), texts(n), texts(n), texts(n)
	for i := range rows {
		u := &rows[i]
		id.addUUID(u.ID)
		at.addTime(u.Timestamp)
		received.addTime(u.ReceivedAt)
		app.addText(u.App)
		kind.addText(u.EventType)
		user.addText(u.UserID)
		success.addBool(u.Success)
		seq.addInt8(u.Seq)
		page.addText(u.PageName)
		element.addText(u.ElementID)
		version.addText(u.AppVersion)
		session.addText(u.SessionID)
		interaction.addText(u.InteractionID)
		metadata.addText(string(u.Metadata))
	}
	return []*column{id, at, received, app, kind, user, success, seq, page, element, version, session, interaction, metadata}
}
