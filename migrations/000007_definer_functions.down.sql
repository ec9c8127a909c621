-- The functions stay as they are: what they do is the same, and the safer way of
-- doing it suits the programs of either version.
SELECT 1;
