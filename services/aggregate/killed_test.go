package aggregate_test

const victimDSN = "LAKEPULSE_TEST_VICTIM_DSN"

func victim() int { return 0 }
