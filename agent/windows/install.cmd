@echo off & setlocal EnableExtensions DisableDelayedExpansion
rem Makes this machine a host of the server that this script came from. Experimental: no real host
rem was installed yet. The server hands out the line to run, in a command prompt of an
rem administrator; it fetches this script under the server's pinned key. On a host the script renews
rem agent and start-up task, keeps identity and configuration, and needs no token. --uninstall takes
rem away all that it put there.
rem
rem   ROLLCALL_TOKEN   the enrolment token
rem
rem In this order: the machine is looked at; everything is fetched aside; files are put into place;
rem the host is enrolled; only then the task starts. What fails before the enrolment is undone where
rem nothing stood before. The token crosses no command line.
rem
rem The first program is taken as the server sends it under the pin: nothing that Windows brings
rem along verifies its signature. From then on the agent verifies what follows it.
rem
rem The server puts its settings into the first lines: server_url, and server_pin, which is empty
rem where the system's authorities are to be believed.
set "NoDefaultCurrentDirectoryInExePath=1"
set "ERRORLEVEL="
set "TOOLS=%SystemRoot%\System32"
set "PLACE=%ProgramFiles%\Rollcall"
set "BINARY=%PLACE%\bin\rollcall-agent.exe"
set "CONFIG=%PLACE%\agent.json"
set "STATE=%PLACE%\state"
set "WORK=%PLACE%\install"
set "TASK=Rollcall agent"
rem SYSTEM and administrators may do everything; the agent's account, LOCAL SERVICE, may read.
set "OWNERS=*S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F"
set "ACCOUNT=*S-1-5-19"
set "FRESH="
set "PIN="
cd /d "%TOOLS%"
if /i "%~1"=="--uninstall" goto uninstall
if not "%~1"=="" echo usage: install.cmd [--uninstall] 1>&2 & exit /b 2
set "PROBLEM=fetch this script from the server that this machine is to be a host of"
if not defined server_url goto refuse
set "PROBLEM=there is an agent for x64 processors only"
if /i not "%PROCESSOR_ARCHITECTURE%"=="AMD64" goto refuse
set "PROBLEM=%TOOLS%\curl.exe is missing; Windows has it since version 1803"
if not exist "%TOOLS%\curl.exe" goto refuse
if defined server_pin set PIN=--insecure --pinnedpubkey "%server_pin%"

if not exist "%PLACE%\" set "FRESH=yes"
set "PROBLEM=this has to run in a command prompt of an administrator"
if defined FRESH mkdir "%PLACE%" 2>nul
if not exist "%PLACE%\" goto refuse
"%TOOLS%\icacls.exe" "%PLACE%" /inheritance:r /grant:r %OWNERS% "%ACCOUNT%:(OI)(CI)RX" >nul || goto failed
for %%D in (bin state install) do if not exist "%PLACE%\%%D\" mkdir "%PLACE%\%%D"
rem An update renames files in these two; nobody else may look into the third.
"%TOOLS%\icacls.exe" "%PLACE%\bin" /grant:r "%ACCOUNT%:(OI)(CI)M" >nul || goto failed
"%TOOLS%\icacls.exe" "%STATE%" /grant:r "%ACCOUNT%:(OI)(CI)M" >nul || goto failed
"%TOOLS%\icacls.exe" "%WORK%" /inheritance:r /grant:r %OWNERS% >nul || goto failed

set "IDENTITY="
set "FORCE="
if not exist "%STATE%\credential.json" goto with_token
set "FORCE=--force"
for /f "usebackq tokens=1,2 delims=:, " %%A in ("%STATE%\credential.json") do if "%%~A"=="credential" >"%WORK%\authorization" echo authorization: Bearer %%~B
call :fetch /install/update.cmd update.cmd 2>nul && set "IDENTITY=kept"
if defined IDENTITY goto fetch_files
:with_token
set "PROBLEM=there is no token: set ROLLCALL_TOKEN to one that the server made"
if not defined ROLLCALL_TOKEN goto failed
for /f "tokens=1* delims==" %%A in ('set ROLLCALL_TOKEN') do if /i "%%A"=="ROLLCALL_TOKEN" >"%WORK%\authorization" echo authorization: Bearer %%B
:fetch_files
set "PROBLEM=the server does not hand out what an agent for Windows needs; a 401 says that the token is unknown, used up or expired"
call :fetch /install/update.cmd update.cmd || goto failed
call :fetch /install/task.xml task.xml || goto failed
call :fetch /install/agent.json agent.json || goto failed
call :fetch /releases/target/windows-x64/rollcall-agent.exe rollcall-agent.exe || goto failed

call :stop
rem Copied, not moved: a file that is moved keeps who may read it.
set "PROBLEM=the files could not be put into %PLACE%"
copy /b /y "%WORK%\rollcall-agent.exe" "%BINARY%.install" >nul || goto failed
move /y "%BINARY%.install" "%BINARY%" >nul || goto failed
copy /b /y "%WORK%\update.cmd" "%PLACE%\update.cmd" >nul || goto failed
if not exist "%CONFIG%" copy /b /y "%WORK%\agent.json" "%CONFIG%" >nul || goto failed
set "PROBLEM=the agent does not run here"
"%BINARY%" --probe --config "%CONFIG%" --state-dir "%STATE%" >"%WORK%\said" 2>&1 || goto failed_saying
if defined IDENTITY goto start
set "PROBLEM=the host was not enrolled"
"%BINARY%" enroll %FORCE% --config "%CONFIG%" --state-dir "%STATE%" >"%WORK%\said" 2>&1 || goto failed_saying
set "FRESH="

:start
set "PROBLEM=the start-up task could not be made; run this again"
"%TOOLS%\schtasks.exe" /create /f /tn "%TASK%" /xml "%WORK%\task.xml" >nul || goto failed
rmdir /s /q "%WORK%"
if exist "%STATE%\agent.log" move /y "%STATE%\agent.log" "%STATE%\agent.log.1" >nul
"%TOOLS%\schtasks.exe" /run /tn "%TASK%" >nul
for /l %%N in (1,1,60) do call :is_connected && goto connected || "%TOOLS%\ping.exe" -n 2 127.0.0.1 >nul
set "PROBLEM=installed, but not connected within 60 s; it goes on trying: %STATE%\agent.log"
goto refuse
:connected
echo rollcall: this host runs the agent, which is experimental on Windows, and is connected
exit /b 0

:is_connected
"%TOOLS%\findstr.exe" /c:"session_epoch" "%STATE%\agent.log" >nul 2>&1
exit /b %ERRORLEVEL%

rem fetch PATH FILE
:fetch
"%TOOLS%\curl.exe" -q -fsS --connect-timeout 15 --speed-limit 1 --speed-time 60 %PIN% -H "@%WORK%\authorization" -o "%WORK%\%~2" "%server_url%%~1"
exit /b %ERRORLEVEL%

:stop
"%TOOLS%\schtasks.exe" /end /tn "%TASK%" >nul 2>&1
"%TOOLS%\taskkill.exe" /f /im rollcall-agent.exe >nul 2>&1
"%TOOLS%\taskkill.exe" /f /im rollcall-agent.exe.old >nul 2>&1
exit /b 0

:uninstall
call :stop
"%TOOLS%\schtasks.exe" /delete /f /tn "%TASK%" >nul 2>&1
if exist "%PLACE%\" rmdir /s /q "%PLACE%"
set "PROBLEM=%PLACE% could not be removed: run this in a command prompt of an administrator, once nothing uses it"
if exist "%PLACE%\" goto refuse
echo rollcall: the agent is uninstalled; remove the host at the server too
exit /b 0

:failed_saying
type "%WORK%\said" 1>&2
:failed
if exist "%WORK%\" rmdir /s /q "%WORK%"
if defined FRESH rmdir /s /q "%PLACE%"
if defined FRESH echo rollcall: what was put here was taken away again 1>&2
if not defined FRESH "%TOOLS%\schtasks.exe" /run /tn "%TASK%" >nul 2>&1
:refuse
echo rollcall: %PROBLEM% 1>&2
exit /b 1
