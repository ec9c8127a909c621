package embedded

import (
	"maps"
	"slices"
	"strconv"
)

// settings are the server's parameters. They are sized for a metrics store beside the
// application on one machine: bulk inserts, and reads over hours to days.
func (cfg PostgresConfig) settings(port int) map[string]string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(port),
		"unix_socket_directories": "", // TCP only: no socket file can go stale, and TMPDIR may be any length
		"max_connections":         "100",
		"shared_buffers":          "256MB",
		"effective_cache_size":    "1GB",
		"work_mem":                "16MB",
		"maintenance_work_mem":    "128MB",
		"max_wal_size":            "2GB",
		"min_wal_size":            "256MB",
		"checkpoint_timeout":      "15min",
		"random_page_cost":        "1.1",
		"jit":                     "off", // costs more than our short queries gain
		"timezone":                "UTC",
		"fsync":                   "on",
		"synchronous_commit":      "on",
		"full_page_writes":        "on",

		"logging_collector":       "off",
		"log_destination":         "stderr",
		"log_line_prefix":         "",
		"log_timezone":            "UTC",
		"log_checkpoints":         "off",
		"log_min_error_statement": "panic", // a failing statement's text may carry users' data
		"lc_messages":             "C",     // start reads the messages
	}
	if cfg.Fast {
		maps.Copy(settings, map[string]string{
			"fsync":                 "off",
			"synchronous_commit":    "off",
			"full_page_writes":      "off",
			"shared_buffers":        "128MB",
			"max_connections":       "300", // many databases, each with pools, at once
			"max_wal_size":          "1GB",
			"min_wal_size":          "80MB",
			"wal_level":             "minimal",
			"max_wal_senders":       "0",
			"autovacuum_naptime":    "10min",
			"bgwriter_lru_maxpages": "0",
		})
	}
	maps.Copy(settings, cfg.Settings)
	return settings
}

// arguments turns settings into the server's command line, in a stable order.
func arguments(clusterDir string, settings map[string]string) []string {
	args := []string{"-D", clusterDir}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
