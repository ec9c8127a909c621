DROP TABLE app_clients, app_readers, app_principals, api_keys, apps;
