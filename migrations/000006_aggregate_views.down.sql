-- Back to rows with the dimensions in each of them. Histograms go back to buckets
-- from 0.1 ms to an hour; checksums per key are not kept any more and become 0.
ALTER VIEW aggregated_metrics RENAME TO compact_metrics;
ALTER VIEW aggregated_days RENAME TO compact_days;
ALTER VIEW aggregated_totals RENAME TO compact_totals;

CREATE FUNCTION response_time_bucket(ms double precision) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT width_bucket(ms, '{
        0.1,0.102,0.10404,0.106121,0.108243,0.110408,0.112616,0.114869,0.117166,0.119509,0.121899,0.124337,0.126824,
        0.129361,0.131948,0.134587,0.137279,0.140024,0.142825,0.145681,0.148595,0.151567,0.154598,0.15769,0.160844,
        0.164061,0.167342,0.170689,0.174102,0.177584,0.181136,0.184759,0.188454,0.192223,0.196068,0.199989,0.203989,
        0.208069,0.21223,0.216474,0.220804,0.22522,0.229724,0.234319,0.239005,0.243785,0.248661,0.253634,0.258707,
        0.263881,0.269159,0.274542,0.280033,0.285633,0.291346,0.297173,0.303117,0.309179,0.315362,0.32167,0.328103,
        0.334665,0.341358,0.348186,0.355149,0.362252,0.369497,0.376887,0.384425,0.392114,0.399956,0.407955,0.416114,
        0.424436,0.432925,0.441584,0.450415,0.459424,0.468612,0.477984,0.487544,0.497295,0.507241,0.517386,0.527733,
        0.538288,0.549054,0.560035,0.571235,0.58266,0.594313,0.6062,0.618324,0.63069,0.643304,0.65617,0.669293,
        0.682679,0.696333,0.710259,0.724465,0.738954,0.753733,0.768808,0.784184,0.799867,0.815865,0.832182,0.848826,
        0.865802,0.883118,0.900781,0.918796,0.937172,0.955916,0.975034,0.994535,1.01443,1.03471,1.05541,1.07652,
        1.09805,1.12001,1.14241,1.16526,1.18856,1.21233,1.23658,1.26131,1.28654,1.31227,1.33851,1.36528,1.39259,
        1.42044,1.44885,1.47783,1.50738,1.53753,1.56828,1.59965,1.63164,1.66427,1.69756,1.73151,1.76614,1.80146,
        1.83749,1.87424,1.91173,1.94996,1.98896,2.02874,2.06931,2.1107,2.15291,2.19597,2.23989,2.28469,2.33038,
        2.37699,2.42453,2.47302,2.52248,2.57293,2.62439,2.67688,2.73042,2.78502,2.84072,2.89754,2.95549,3.0146,
        3.07489,3.13639,3.19912,3.2631,3.32836,3.39493,3.46283,3.53208,3.60272,3.67478,3.74827,3.82324,3.89971,3.9777,
        4.05725,4.1384,4.22117,4.30559,4.3917,4.47954,4.56913,4.66051,4.75372,4.84879,4.94577,5.04468,5.14558,5.24849,
        5.35346,5.46053,5.56974,5.68113,5.79476,5.91065,6.02886,6.14944,6.27243,6.39788,6.52584,6.65635,6.78948,
        6.92527,7.06378,7.20505,7.34915,7.49614,7.64606,7.79898,7.95496,8.11406,8.27634,8.44187,8.6107,8.78292,
        8.95858,9.13775,9.3205,9.50691,9.69705,9.89099,10.0888,10.2906,10.4964,10.7063,10.9205,11.1389,11.3616,
        11.5889,11.8207,12.0571,12.2982,12.5442,12.7951,13.051,13.312,13.5782,13.8498,14.1268,14.4093,14.6975,14.9914,
        15.2913,15.5971,15.909,16.2272,16.5518,16.8828,17.2205,17.5649,17.9162,18.2745,18.64,19.0128,19.393,19.7809,
        20.1765,20.58,20.9916,21.4115,21.8397,22.2765,22.722,23.1765,23.64,24.1128,24.5951,25.087,25.5887,26.1005,
        26.6225,27.1549,27.698,28.252,28.817,29.3934,29.9812,30.5809,31.1925,31.8163,32.4526,33.1017,33.7637,34.439,
        35.1278,35.8303,36.547,37.2779,38.0235,38.7839,39.5596,40.3508,41.1578,41.981,42.8206,43.677,44.5505,45.4415,
        46.3504,47.2774,48.2229,49.1874,50.1711,51.1746,52.198,53.242,54.3069,55.393,56.5008,57.6309,58.7835,59.9592,
        61.1583,62.3815,63.6291,64.9017,66.1997,67.5237,68.8742,70.2517,71.6567,73.0899,74.5517,76.0427,77.5636,
        79.1148,80.6971,82.3111,83.9573,85.6364,87.3492,89.0961,90.8781,92.6956,94.5495,96.4405,98.3693,100.337,
        102.343,104.39,106.478,108.608,110.78,112.995,115.255,117.56,119.912,122.31,124.756,127.251,129.796,132.392,
        135.04,137.741,140.496,143.306,146.172,149.095,152.077,155.119,158.221,161.385,164.613,167.905,171.263,
        174.689,178.182,181.746,185.381,189.089,192.87,196.728,200.662,204.676,208.769,212.945,217.203,221.547,
        225.978,230.498,235.108,239.81,244.606,249.498,254.488,259.578,264.77,270.065,275.466,280.976,286.595,292.327,
        298.174,304.137,310.22,316.424,322.753,329.208,335.792,342.508,349.358,356.345,363.472,370.742,378.156,385.72,
        393.434,401.303,409.329,417.515,425.866,434.383,443.07,451.932,460.971,470.19,479.594,489.186,498.969,508.949,
        519.128,529.51,540.1,550.902,561.921,573.159,584.622,596.315,608.241,620.406,632.814,645.47,658.379,671.547,
        684.978,698.678,712.651,726.904,741.442,756.271,771.396,786.824,802.561,818.612,834.984,851.684,868.718,
        886.092,903.814,921.89,940.328,959.135,978.317,997.884,1017.84,1038.2,1058.96,1080.14,1101.74,1123.78,1146.25,
        1169.18,1192.56,1216.41,1240.74,1265.56,1290.87,1316.69,1343.02,1369.88,1397.28,1425.22,1453.73,1482.8,
        1512.46,1542.71,1573.56,1605.03,1637.13,1669.88,1703.27,1737.34,1772.09,1807.53,1843.68,1880.55,1918.16,
        1956.53,1995.66,2035.57,2076.28,2117.81,2160.16,2203.37,2247.43,2292.38,2338.23,2384.99,2432.69,2481.35,
        2530.98,2581.6,2633.23,2685.89,2739.61,2794.4,2850.29,2907.3,2965.44,3024.75,3085.25,3146.95,3209.89,3274.09,
        3339.57,3406.36,3474.49,3543.98,3614.86,3687.15,3760.9,3836.11,3912.84,3991.09,4070.92,4152.33,4235.38,
        4320.09,4406.49,4494.62,4584.51,4676.2,4769.73,4865.12,4962.42,5061.67,5162.9,5266.16,5371.49,5478.92,5588.49,
        5700.26,5814.27,5930.55,6049.17,6170.15,6293.55,6419.42,6547.81,6678.77,6812.34,6948.59,7087.56,7229.31,
        7373.9,7521.38,7671.81,7825.24,7981.75,8141.38,8304.21,8470.29,8639.7,8812.49,8988.74,9168.52,9351.89,9538.93,
        9729.7,9924.3,10122.8,10325.2,10531.7,10742.4,10957.2,11176.4,11399.9,11627.9,11860.5,12097.7,12339.6,12586.4,
        12838.1,13094.9,13356.8,13623.9,13896.4,14174.3,14457.8,14747,15041.9,15342.8,15649.6,15962.6,16281.9,16607.5,
        16939.6,17278.4,17624,17976.5,18336,18702.7,19076.8,19458.3,19847.5,20244.4,20649.3,21062.3,21483.6,21913.2,
        22351.5,22798.5,23254.5,23719.6,24194,24677.9,25171.4,25674.9,26188.4,26712.1,27246.4,27791.3,28347.1,28914.1,
        29492.3,30082.2,30683.8,31297.5,31923.5,32561.9,33213.2,33877.4,34555,35246.1,35951,36670,37403.4,38151.5,
        38914.5,39692.8,40486.7,41296.4,42122.3,42964.8,43824.1,44700.5,45594.6,46506.5,47436.6,48385.3,49353,50340.1,
        51346.9,52373.8,53421.3,54489.7,55579.5,56691.1,57824.9,58981.4,60161.1,61364.3,62591.6,63843.4,65120.3,
        66422.7,67751.1,69106.1,70488.3,71898,73336,74802.7,76298.8,77824.7,79381.2,80968.9,82588.2,84240,85924.8,
        87643.3,89396.2,91184.1,93007.8,94867.9,96765.3,98700.6,100675,102688,104742,106837,108973,111153,113376,
        115643,117956,120315,122722,125176,127680,130233,132838,135495,138205,140969,143788,146664,149597,152589,
        155641,158754,161929,165167,168471,171840,175277,178782,182358,186005,189725,193520,197390,201338,205365,
        209472,213662,217935,222293,226739,231274,235900,240618,245430,250339,255345,260452,265661,270975,276394,
        281922,287560,293312,299178,305161,311265,317490,323840,330316,336923,343661,350534,357545,364696,371990,
        379430,387018,394759,402654,410707,418921,427300,435846,444562,453454,462523,471773,481209,490833,500650,
        510663,520876,531293,541919,552758,563813,575089,586591,598323,610289,622495,634945,647644,660596,673808,
        687285,701030,715051,729352,743939,758818,773994,789474,805263,821369,837796,854552,871643,889076,906857,
        924994,943494,962364,981612,1.00124e+06,1.02127e+06,1.04169e+06,1.06253e+06,1.08378e+06,1.10545e+06,
        1.12756e+06,1.15011e+06,1.17312e+06,1.19658e+06,1.22051e+06,1.24492e+06,1.26982e+06,1.29522e+06,1.32112e+06,
        1.34754e+06,1.37449e+06,1.40198e+06,1.43002e+06,1.45862e+06,1.4878e+06,1.51755e+06,1.5479e+06,1.57886e+06,
        1.61044e+06,1.64265e+06,1.6755e+06,1.70901e+06,1.74319e+06,1.77805e+06,1.81361e+06,1.84989e+06,1.88688e+06,
        1.92462e+06,1.96311e+06,2.00238e+06,2.04242e+06,2.08327e+06,2.12494e+06,2.16744e+06,2.21079e+06,2.255e+06,
        2.3001e+06,2.3461e+06,2.39303e+06,2.44089e+06,2.4897e+06,2.5395e+06,2.59029e+06,2.64209e+06,2.69494e+06,
        2.74883e+06,2.80381e+06,2.85989e+06,2.91709e+06,2.97543e+06,3.03494e+06,3.09563e+06,3.15755e+06,3.2207e+06,
        3.28511e+06,3.35081e+06,3.41783e+06,3.48619e+06,3.55591e+06,3.62703e+06
    }'::double precision[])
$$;

-- A histogram is a string of eight-byte big-endian words, one for each bucket
-- that is not empty, in order: the bucket in the upper 16 bits, its count in the
-- lower 48. A reader in Go decodes it without a parser, and Postgres sends it
-- without touching an element.
CREATE FUNCTION histogram_word(bucket int, n bigint) RETURNS bytea
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT int8send((bucket::bigint << 48) | n)
$$;

-- The buckets of a histogram and their counts.
CREATE FUNCTION histogram_buckets(histogram bytea) RETURNS TABLE (bucket int, n bigint)
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS $$
    SELECT (get_byte(histogram, i) << 8) | get_byte(histogram, i + 1),
           (get_byte(histogram, i + 2)::bigint << 40) | (get_byte(histogram, i + 3)::bigint << 32)
         | (get_byte(histogram, i + 4)::bigint << 24) | (get_byte(histogram, i + 5)::bigint << 16)
         | (get_byte(histogram, i + 6)::bigint << 8)  |  get_byte(histogram, i + 7)::bigint
    FROM generate_series(0, length(histogram) - 8, 8) AS i
$$;

CREATE TABLE aggregated_metrics (
    metric_type       text             NOT NULL CHECK (metric_type IN ('performance', 'usage')),
    time_bucket       timestamptz      NOT NULL CHECK (time_bucket = date_trunc('hour', time_bucket, 'UTC')),
    app               text             NOT NULL,
    endpoint_path     text             NOT NULL DEFAULT '', -- performance
    method            text             NOT NULL DEFAULT '', -- performance
    event_type        text             NOT NULL DEFAULT '', -- usage
    aggregated_values jsonb            NOT NULL,
    sample_count      bigint           NOT NULL CHECK (sample_count > 0),
    id_checksum       numeric          NOT NULL,            -- sum over the rows of uuid_hash_extended(id, 0)
    error_count       bigint           NOT NULL DEFAULT 0,  -- performance: status 400 and above
    anonymous_count   bigint           NOT NULL DEFAULT 0,  -- performance: no user
    success_count     bigint           NOT NULL DEFAULT 0,  -- usage
    failure_count     bigint           NOT NULL DEFAULT 0,  -- usage
    response_time_sum double precision NOT NULL DEFAULT 0,  -- milliseconds, as the next two
    response_time_min double precision NOT NULL DEFAULT 0,
    response_time_max double precision NOT NULL DEFAULT 0,
    histogram         bytea            NOT NULL DEFAULT '', -- see histogram_word
    users             int[]            NOT NULL DEFAULT '{}', -- sorted user_numbers, each once
    PRIMARY KEY (metric_type, time_bucket, app, endpoint_path, method, event_type),
    -- NaN counts as greater than everything, so this refuses it as well.
    CONSTRAINT response_times_are_finite CHECK (response_time_sum >= 0 AND response_time_sum < 'Infinity')
);

-- The same per UTC day, merged from its hours: 90 days of an endpoint are 90
-- rows. Its aggregated_values hold what adds up and no percentiles: those come
-- from the histogram.
CREATE TABLE aggregated_days (
    metric_type       text             NOT NULL,
    time_bucket       timestamptz      NOT NULL,
    app               text             NOT NULL,
    endpoint_path     text             NOT NULL DEFAULT '',
    method            text             NOT NULL DEFAULT '',
    event_type        text             NOT NULL DEFAULT '',
    aggregated_values jsonb            NOT NULL,
    sample_count      bigint           NOT NULL,
    id_checksum       numeric          NOT NULL,
    error_count       bigint           NOT NULL DEFAULT 0,
    anonymous_count   bigint           NOT NULL DEFAULT 0,
    success_count     bigint           NOT NULL DEFAULT 0,
    failure_count     bigint           NOT NULL DEFAULT 0,
    response_time_sum double precision NOT NULL DEFAULT 0,
    response_time_min double precision NOT NULL DEFAULT 0,
    response_time_max double precision NOT NULL DEFAULT 0,
    histogram         bytea            NOT NULL DEFAULT '',
    users             int[]            NOT NULL DEFAULT '{}',
    PRIMARY KEY (metric_type, time_bucket, app, endpoint_path, method, event_type)
);

-- The same per app, over all its keys: cards and series of 90 days read a
-- couple of thousand small rows and no endpoint. aggregated_values of usage hold
-- event_count_by_type and page_views (page_view events by page) besides.
CREATE TABLE aggregated_totals (
    resolution        text             NOT NULL CHECK (resolution IN ('hour', 'day')),
    metric_type       text             NOT NULL,
    time_bucket       timestamptz      NOT NULL,
    app               text             NOT NULL,
    aggregated_values jsonb            NOT NULL,
    sample_count      bigint           NOT NULL,
    id_checksum       numeric          NOT NULL,
    error_count       bigint           NOT NULL DEFAULT 0,
    anonymous_count   bigint           NOT NULL DEFAULT 0,
    success_count     bigint           NOT NULL DEFAULT 0,
    failure_count     bigint           NOT NULL DEFAULT 0,
    response_time_sum double precision NOT NULL DEFAULT 0,
    response_time_min double precision NOT NULL DEFAULT 0,
    response_time_max double precision NOT NULL DEFAULT 0,
    histogram         bytea            NOT NULL DEFAULT '',
    users             int[]            NOT NULL DEFAULT '{}',
    PRIMARY KEY (resolution, metric_type, time_bucket, app)
);


CREATE FUNCTION older_histogram(histogram bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path FROM CURRENT AS $$
    SELECT coalesce(string_agg(histogram_word(b, n), ''::bytea ORDER BY b), '')
      FROM (SELECT least(greatest(bucket - 234, 0), 880) AS b, sum(n)::bigint AS n FROM histogram_buckets_of(histogram) GROUP BY 1) AS o
$$;

INSERT INTO aggregated_metrics SELECT metric_type, time_bucket, app, endpoint_path, method, event_type, aggregated_values, sample_count, 0, error_count, anonymous_count, success_count, failure_count, response_time_sum, response_time_min,
       response_time_max, older_histogram(histogram), users FROM compact_metrics;
INSERT INTO aggregated_days SELECT metric_type, time_bucket, app, endpoint_path, method, event_type, aggregated_values, sample_count, 0, error_count, anonymous_count, success_count, failure_count, response_time_sum, response_time_min,
       response_time_max, older_histogram(histogram), users FROM compact_days;
INSERT INTO aggregated_totals SELECT resolution, metric_type, time_bucket, app, aggregated_values, sample_count, 0, error_count, anonymous_count, success_count, failure_count, response_time_sum, response_time_min,
       response_time_max, older_histogram(histogram), users FROM compact_totals;

DROP FUNCTION older_histogram(bytea);
DROP VIEW compact_totals;
DROP VIEW compact_days;
DROP VIEW compact_metrics;
DELETE FROM aggregate_hours;
DELETE FROM aggregate_days;
DELETE FROM aggregate_totals;
CREATE TABLE aggregates_carried (
    resolution    text        NOT NULL,
    metric_type   text        NOT NULL,
    time_bucket   timestamptz NOT NULL,
    aggregated_at timestamptz NOT NULL,
    PRIMARY KEY (resolution, metric_type, time_bucket)
);
