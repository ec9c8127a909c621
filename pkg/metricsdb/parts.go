package metricsdb

import "time"

// partMinutes are the minutes of each UTC hour at which, besides minute 0, a part
// of the hour begins: where a day begins in some time zone. The SQL function
// aggregate_part knows the same.
var partMinutes = [24][]int{
	2: {30}, 3: {30}, // Newfoundland in summer and winter
	9:  {30},           // Marquesas
	10: {15}, 11: {15}, // Chatham Islands in summer and winter
	13: {30}, 14: {30}, // Lord Howe, Adelaide and Darwin
	15: {15},     // Eucla
	17: {30},     // Myanmar, Cocos Islands
	18: {15, 30}, // Nepal, India
	19: {30},     // Afghanistan
	20: {30},     // Iran
}

// PartStart returns the start of the part of an hour that a moment lies in.
func PartStart(t time.Time) time.Time {
	hour := t.UTC().Truncate(time.Hour)
	start := hour
	for _, minute := range partMinutes[hour.Hour()] {
		if at := hour.Add(time.Duration(minute) * time.Minute); !at.After(t) {
			start = at
		}
	}
	return start
}

// Parts returns where the parts of an hour begin.
func Parts(hour time.Time) []time.Time {
	hour = hour.UTC().Truncate(time.Hour)
	starts := []time.Time{hour}
	for _, minute := range partMinutes[hour.Hour()] {
		starts = append(starts, hour.Add(time.Duration(minute)*time.Minute))
	}
	return starts
}

// PartEnd returns the end of the part of an hour that starts at a moment.
func PartEnd(start time.Time) time.Time {
	for _, next := range Parts(start) {
		if next.After(start) {
			return next
		}
	}
	return start.UTC().Truncate(time.Hour).Add(time.Hour)
}
